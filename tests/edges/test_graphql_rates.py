"""How often something may be tried over the API, by whom it is counted, and who is believed about where they call from."""

import pytest
from django.test import Client

from backoffice import addresses
from backoffice.models import Event, Session, User
from brokerage.models import Trade
from graphql_api import limits
from tests import world
from tests.edges.api import LOG_IN, PLACE, REFRESH, SIGN_UP, App, app_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
RESET = "mutation($email: String!) { requestPasswordReset(email: $email) { ... on MailSent { message } ... on Problem { code retryAfterSeconds } } }"
FROM = "203.0.113.7"
PROXY = "10.1.2.3"


@pytest.fixture
def limited(settings):
    """Sets limits other than the defaults, and who the proxies are."""

    def limit(text, proxies=""):
        settings.CONFIG = settings.CONFIG.model_copy(update={"rate_limits": text, "trusted_proxies": proxies})

    return limit


def log_in(email, password="wrong", *, peer=FROM, forwarded=""):
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return Client().post(
        "/graphql/", {"query": LOG_IN, "variables": {"email": email, "password": password}},
        content_type="application/json", headers=headers, REMOTE_ADDR=peer,
    )  # fmt: skip


def code(answer):
    return answer.json()["data"]["logIn"].get("code")


def test_guessing_at_one_account_from_one_address_ends_and_says_when_to_come_back(limited):
    limited("log_in_account_address=3/900")
    email = world.client().user.email
    assert [code(log_in(email)) for _ in range(3)] == ["BAD_CREDENTIALS"] * 3
    answer = log_in(email.upper(), world.PASSWORD)
    assert code(answer) == "TOO_MANY_REQUESTS"
    assert 0 < int(answer.headers["Retry-After"]) <= 900
    assert not Session.objects.exists(), "not even the right password is looked at"
    assert code(log_in(email, world.PASSWORD, peer="198.51.100.1")) is None, (
        "the owner is elsewhere, and gets in"
    )


def test_one_address_may_not_try_one_password_on_everybody(limited):
    limited("log_in_address=5/600")
    assert [code(log_in(f"somebody{n}@example.com")) for n in range(6)] == ["BAD_CREDENTIALS"] * 5 + [
        "TOO_MANY_REQUESTS"
    ]
    assert code(log_in("x@example.com", peer="203.0.113.250")) == "TOO_MANY_REQUESTS", "nor its whole network"
    assert Event.objects.filter(name="user.log_in_failed").count() == 5


def test_many_addresses_may_not_try_at_one_account_for_ever(limited):
    limited("log_in_account=4/600")
    email = world.client().user.email
    codes = [code(log_in(email, peer=f"198.51.{n}.1")) for n in range(5)]
    assert codes == ["BAD_CREDENTIALS"] * 4 + ["TOO_MANY_REQUESTS"]


def test_whoever_shows_who_they_are_begins_anew(limited):
    limited("log_in_account_address=2/900")
    email = world.client().user.email
    for _ in range(3):
        assert code(log_in(email)) == "BAD_CREDENTIALS"
        assert code(log_in(email, world.PASSWORD)) is None


def test_an_address_that_a_stranger_claims_is_not_believed(limited):
    limited("log_in_address=2/600")
    codes = [code(log_in(f"a{n}@example.com", forwarded=f"192.0.2.{n}, {n}.1.1.1")) for n in range(3)]
    assert codes == ["BAD_CREDENTIALS", "BAD_CREDENTIALS", "TOO_MANY_REQUESTS"]


def test_behind_a_listed_proxy_the_caller_is_whom_the_proxy_saw_whatever_they_claim(limited):
    limited("log_in_address=2/600", proxies="10.0.0.0/8")
    # The caller sent the first part; the proxy appended the last, and only that counts.
    codes = [
        code(log_in(f"a{n}@example.com", peer=PROXY, forwarded=f"192.0.2.{n}, {FROM}")) for n in range(3)
    ]
    assert codes == ["BAD_CREDENTIALS", "BAD_CREDENTIALS", "TOO_MANY_REQUESTS"]
    assert code(log_in("b@example.com", peer=PROXY, forwarded="198.51.100.9")) == "BAD_CREDENTIALS"
    assert (
        code(log_in(world.client().user.email, world.PASSWORD, peer=PROXY, forwarded="198.51.100.9")) is None
    )
    assert Session.objects.get().address == "198.51.100.9"


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.7", "1.1.1.1", "203.0.113.7"),
        ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, 1.1.1.1, 10.0.0.9", "1.1.1.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, ' or 1=1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),
        ("", "1.1.1.1", ""),
    ],
)
def test_who_called_is_read_from_the_end_as_far_as_proxies_are_listed(limited, peer, forwarded, expected):
    limited("", proxies="10.0.0.0/8")
    assert addresses.caller(peer, forwarded) == expected


def test_sign_ups_and_resets_and_renewals_are_counted_too(limited):
    limited("sign_up_address=1/600,reset_account=1/600,refresh_address=1/600")
    person = {"email": "a@example.com", "password": world.PASSWORD, "firstName": "A", "lastName": "B"}
    app = App()
    app.refresh = app.data(SIGN_UP, input=person)["tokens"]["refreshToken"]
    users = User.objects.count()
    assert app.data(SIGN_UP, input={**person, "email": "b@example.com"})["code"] == "TOO_MANY_REQUESTS"
    assert User.objects.count() == users
    assert "message" in app.data(RESET, email="nobody@example.com")
    refused = app.data(RESET, email="Nobody@example.com")
    assert refused["code"] == "TOO_MANY_REQUESTS" and 0 < refused["retryAfterSeconds"] <= 600
    app.data(REFRESH, token=app.refresh)
    assert app.data(REFRESH, token="x")["code"] == "TOO_MANY_REQUESTS"


def test_what_a_client_does_with_trades_is_counted_for_all_who_act_for_it(limited):
    limited("trade=2/60")
    app = app_of(world.account())
    first = app.place()["trade"]
    assert app.data('mutation($id: ID!) { cancelTrade(id: $id, key: "k") { __typename } }', id=first["id"])
    assert app.place()["code"] == "TOO_MANY_REQUESTS"
    assert Trade.objects.count() == 1
    assert app_of(world.account()).place()["trade"], "another client is not kept waiting"


def test_a_request_that_is_not_allowed_is_not_counted_to_the_client(limited):
    limited("trade=1/60")
    account = world.account()
    stranger = app_of(world.account())
    problem = stranger.data(
        PLACE,
        input={
            "symbol": "R_100",
            "side": "CALL",
            "stake": "1",
            "duration": 5,
            "key": "k",
            "account": str(account.uuid),
        },
    )
    assert problem["code"] == "NOT_FOUND"
    assert app_of(account).place()["trade"]


@pytest.mark.parametrize(
    "text", ["log_in=3/900", "log_in_address=3", "log_in_address=x/1", "log_in_address=0/1"]
)
def test_a_limit_that_cannot_be_read_stops_the_process(text):
    with pytest.raises(ValueError, match="RATE_LIMITS"):
        limits.read(text)


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.0/33", "10.0.0.1;10.0.0.2"])
def test_a_proxy_that_cannot_be_read_stops_the_process(text):
    with pytest.raises(ValueError, match="does not appear to be"):
        addresses.networks(text)


def test_limits_are_told_in_the_documentation():
    from backoffice.configuration import ROOT

    page = (ROOT / "docs" / "api.md").read_text()
    for name, (tries, seconds) in limits.LIMITS.items():
        assert f"| `{name}` | {tries} in {seconds} s |" in page, name
