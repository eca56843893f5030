"""A client app for tests: asks the API over HTTP as anybody would."""

from typing import Any

from django.test import Client

from tests import world

PROBLEM = "... on Problem { code message field }"
TRADE = f"... on TradeAnswer {{ trade {{ id state version stake {{ amount currency }} }} account {{ available {{ amount }} }} }} {PROBLEM}"
PLACE = f"mutation($input: PlaceTradeInput!) {{ placeTrade(input: $input) {{ {TRADE} }} }}"
SIGN_UP = f"""mutation($input: SignUpInput!) {{ signUp(input: $input) {{
    ... on SignedIn {{ tokens {{ accessToken refreshToken expiresAt }} me {{ id email clients {{ name role }} }} }} {PROBLEM} }} }}"""
LOG_IN = f"""mutation($email: String!, $password: String!) {{ logIn(email: $email, password: $password) {{
    ... on SignedIn {{ tokens {{ accessToken refreshToken }} me {{ email }} }} {PROBLEM} }} }}"""
REFRESH = f"""mutation($token: String!) {{ refreshToken(refreshToken: $token) {{
    ... on Tokens {{ accessToken refreshToken }} {PROBLEM} }} }}"""


class App:
    """One client app; `log_in` keeps its tokens."""

    def __init__(self) -> None:
        self._http = Client()
        self.access = self.refresh = ""

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.access}"} if self.access else {}
        answer = self._http.post(
            "/graphql/",
            {"query": query, "variables": variables},
            content_type="application/json",
            headers=headers,
        )
        assert answer.status_code == 200, answer.content
        return answer.json()

    def data(self, query: str, **variables: Any) -> Any:
        """The one field asked for; there must be no error."""
        answer = self.ask(query, **variables)
        assert "errors" not in answer, answer
        (value,) = answer["data"].values()
        return value

    def code(self, query: str, **variables: Any) -> str:
        """The code of the one error."""
        (error,) = self.ask(query, **variables)["errors"]
        return error["extensions"]["code"]

    def log_in(self, email: str, password: str = world.PASSWORD) -> "App":
        tokens = self.data(LOG_IN, email=email, password=password)["tokens"]
        self.access, self.refresh = tokens["accessToken"], tokens["refreshToken"]
        return self

    def place(self, **given: Any) -> Any:
        values = {
            "symbol": "R_100",
            "side": "CALL",
            "stake": "10.00",
            "duration": 5,
            "key": world.key(),
            **given,
        }
        return self.data(PLACE, input=values)


def app_of(account: Any) -> App:
    """An app logged in as the owner of a trading account's client."""
    return App().log_in(account.client.membership_set.get().user.email)
