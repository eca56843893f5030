"""Letting an application in: the simulator's sign-in and tokens, and our client against whatever answers."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from brokerage.deriv.errors import (
    AnswerTimeout,
    MalformedAnswer,
    NotAuthorized,
    NotSent,
    OutcomeUnknown,
    Refused,
    RetryLater,
    VenueError,
)
from brokerage.deriv.oauth import OAuth, Tokens
from tests.brokerage.deriv.running import SimulatorProcess, free_port
from tests.running import HTTP
from tests.signing_in import approved, decide, sent_back

pytestmark = pytest.mark.processes
BACK, VERIFIER, STATE = "https://app.example/back?tab=1", "v" * 64, "a-state-of-ours"


def oauth_of(venue: SimulatorProcess, app_id: str = "1234") -> OAuth:
    return OAuth(f"http://127.0.0.1:{venue.port}", app_id, timeout=3)


def address(oauth: OAuth) -> str:
    return oauth.authorization_url(state=STATE, verifier=VERIFIER, redirect_url=BACK)


def granted(oauth: OAuth, **given: Any) -> Tokens:
    state, code = approved(address(oauth), **given)
    assert state == STATE
    return oauth.exchange(code=code, verifier=VERIFIER, redirect_url=BACK)


def accounts(venue: SimulatorProcess, token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Deriv-App-ID": "1234"}
    return HTTP.get(f"http://127.0.0.1:{venue.port}/trading/v1/options/accounts", headers=headers)


# ── the simulator ───────────────────────────────────────────────────────────────────────────────────


def test_a_new_user_comes_with_an_account_of_each_kind(venue: SimulatorProcess) -> None:
    tokens = granted(oauth_of(venue))
    rows = accounts(venue, tokens.access).json()["data"]
    assert [(row["account_type"], row["balance"]) for row in rows] == [("demo", 10000.0), ("real", 500.0)]
    assert tokens.scopes == ("account_manage", "payment", "trade") and tokens.expires_in == 3600


def test_the_holder_of_a_login_signs_in_as_themselves(venue: SimulatorProcess, account: Any) -> None:
    tokens = granted(oauth_of(venue), login_id=account["login_id"])
    (row,) = accounts(venue, tokens.access).json()["data"]
    assert row["account_id"] == account["login_id"]
    assert decide(address(oauth_of(venue)), login_id="VRTC1").status_code == 422


def test_an_unticked_permission_is_not_in_the_token(venue: SimulatorProcess) -> None:
    tokens = granted(oauth_of(venue), allow=("payment",))
    assert tokens.scopes == ("payment",)
    assert accounts(venue, tokens.access).status_code == 403


def test_a_code_is_good_once_for_its_own_verifier_application_and_address(venue: SimulatorProcess) -> None:
    oauth = oauth_of(venue)
    right = {"verifier": VERIFIER, "redirect_url": BACK}
    _, code = approved(address(oauth))
    oauth.exchange(code=code, **right)
    with pytest.raises(NotAuthorized):
        oauth.exchange(code=code, **right)
    for wrong in ({"verifier": "w" * 64}, {"redirect_url": "https://app.example/other"}):
        _, code = approved(address(oauth))
        with pytest.raises(NotAuthorized):
            oauth.exchange(code=code, **{**right, **wrong})
        with pytest.raises(NotAuthorized):
            oauth.exchange(code=code, **right)
    _, code = approved(address(oauth))
    with pytest.raises(NotAuthorized):
        oauth_of(venue, "4321").exchange(code=code, **right)


def test_a_refresh_token_is_good_once_and_the_access_token_until_it_runs_out(venue: SimulatorProcess) -> None:
    oauth = oauth_of(venue)
    first = granted(oauth)
    second = oauth.refresh(first.refresh, scopes=first.scopes)
    assert second.scopes == first.scopes
    with pytest.raises(NotAuthorized):
        oauth.refresh(first.refresh, scopes=first.scopes)
    assert {accounts(venue, one.access).status_code for one in (first, second)} == {200}
    venue.control("POST", "tokens", {"life_seconds": 1})
    try:
        short = oauth.refresh(second.refresh, scopes=())
        begun = time.monotonic()
        while accounts(venue, short.access).status_code == 200:
            assert time.monotonic() - begun < 5
        assert accounts(venue, short.access).status_code == 401
    finally:
        venue.control("POST", "tokens", {"life_seconds": 3600})


def test_revoking_ends_the_whole_grant_and_nothing_of_a_strangers(venue: SimulatorProcess) -> None:
    oauth = oauth_of(venue)
    mine, other = granted(oauth), granted(oauth)
    oauth_of(venue, "4321").revoke(mine.refresh)
    assert accounts(venue, mine.access).status_code == 200
    for _ in range(2):
        oauth.revoke(mine.refresh)
    assert accounts(venue, mine.access).status_code == 401
    with pytest.raises(NotAuthorized):
        oauth.refresh(mine.refresh, scopes=())
    assert accounts(venue, other.access).status_code == 200


def test_tokens_outlive_a_restart_of_the_venue(tmp_path: Any) -> None:
    with SimulatorProcess(tmp_path / "venue.sqlite3", 20, "--no-limits") as venue:
        oauth = oauth_of(venue)
        tokens = granted(oauth)
        venue.kill()
        venue.start()
        assert accounts(venue, tokens.access).status_code == 200
        assert oauth.refresh(tokens.refresh, scopes=()).access


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"client_id": "no such"}, 400), ({"redirect_uri": "javascript:alert(1)"}, 400), ({"redirect_uri": ""}, 400),
        ({"redirect_uri": "https://app.example/#x"}, 400), ({"response_type": "token"}, "unsupported_response_type"),
        ({"state": ""}, "invalid_request"), ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"), ({"scope": "everything"}, "invalid_scope"),
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_told_to_whoever_can_hear_it(
    venue: SimulatorProcess, changed: dict[str, str], answer: Any
) -> None:
    url = address(oauth_of(venue))
    known = {"client_id": "1234", "redirect_uri": BACK, "response_type": "code", "state": STATE, "scope": "trade",
             "code_challenge": "c" * 43, "code_challenge_method": "S256", **changed}  # fmt: skip
    for found in (
        HTTP.get(url.split("?")[0], params=known),
        HTTP.post(url.split("?")[0], data={**known, "decision": "approve"}),
    ):
        if isinstance(answer, int):
            assert found.status_code == answer and "location" not in found.headers
        else:
            assert sent_back(found)["error"] == answer


def test_nothing_typed_into_the_address_becomes_part_of_the_page(venue: SimulatorProcess) -> None:
    oauth = OAuth(f"http://127.0.0.1:{venue.port}", "1234")
    url = oauth.authorization_url(state='"><script>', verifier=VERIFIER, redirect_url=BACK)
    page = HTTP.get(url)
    assert "<script" not in page.text and page.headers["x-frame-options"] == "DENY"


def test_a_user_takes_the_permission_away_and_the_socket_closes(
    venue: SimulatorProcess, account: Any
) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    tokens = granted(oauth_of(venue), login_id=account["login_id"])
    headers = {"Authorization": f"Bearer {tokens.access}", "Deriv-App-ID": "1234"}
    one = f"http://127.0.0.1:{venue.port}/trading/v1/options/accounts/{account['login_id']}/otp"
    with connect(HTTP.post(one, headers=headers).json()["data"]["url"], proxy=None) as socket:
        venue.control("DELETE", f"accounts/{account['login_id']}/permissions")
        with pytest.raises(ConnectionClosed):
            socket.recv(5)
    assert accounts(venue, tokens.access).status_code == 401


def test_on_a_network_nobody_signs_in_without_the_secret(tmp_path: Any) -> None:
    with SimulatorProcess(tmp_path / "venue.sqlite3", 20, "--control-secret", "s3cret-of-the-desk") as venue:
        url = address(oauth_of(venue))
        assert decide(url, secret="guessed").status_code == 403
        assert sent_back(decide(url, secret="s3cret-of-the-desk"))["code"]


# ── our client, whatever answers ────────────────────────────────────────────────────────────────────


@contextmanager
def answering(status: int, body: bytes, seconds: float = 0) -> Iterator[OAuth]:
    """A server that says the same to everybody."""

    class Says(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            threading.Event().wait(seconds)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Says)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield OAuth(f"http://127.0.0.1:{server.server_port}", "1234", timeout=1)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


GOOD = {"access_token": "a" * 20, "refresh_token": "r" * 20, "expires_in": 60, "scope": "trade"}


def refused_with(oauth: OAuth) -> VenueError:
    with pytest.raises(VenueError) as found:
        oauth.refresh("the-secret-refresh-token", scopes=("trade",))
    assert "the-secret" not in str(found.value) and found.value.__cause__ is None
    return found.value


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_grant"}, NotAuthorized), (401, {"error": "invalid_client"}, Refused),
        (400, {"error": "<b>"}, Refused), (400, "x", Refused), (429, {}, RetryLater), (503, {}, RetryLater),
        (500, {}, OutcomeUnknown), (302, {}, Refused), (200, [], MalformedAnswer), (200, "x", MalformedAnswer),
        *((200, {**GOOD, **wrong}, MalformedAnswer) for wrong in (
            {"access_token": None}, {"access_token": "with space in it"}, {"refresh_token": 7}, {"expires_in": "60"},
            {"expires_in": 0}, {"expires_in": 10**12}, {"scope": ["trade"]}, {"access_token": "x"},
        )),
    ],
)  # fmt: skip
def test_every_answer_that_is_none_has_its_class(status: int, body: Any, kind: type[VenueError]) -> None:
    with answering(status, json.dumps(body).encode()) as oauth:
        assert type(refused_with(oauth)) is kind


def test_an_answer_without_end_a_silent_venue_and_none_at_all() -> None:
    with answering(200, b"[" + b"1," * 1_000_000 + b"1]") as oauth:
        assert isinstance(refused_with(oauth), OutcomeUnknown)
    with answering(200, b"{}", seconds=1.5) as oauth:
        assert isinstance(refused_with(oauth), AnswerTimeout)
    assert isinstance(refused_with(OAuth(f"http://127.0.0.1:{free_port()}", "1234")), NotSent)


def test_what_is_good_is_read_exactly_and_a_venue_that_names_no_scopes_means_those_before() -> None:
    with answering(200, json.dumps(GOOD).encode()) as oauth:
        assert oauth.refresh("r" * 20, scopes=()) == Tokens("a" * 20, "r" * 20, 60, ("trade",))
    with answering(200, json.dumps({**GOOD, "scope": None}).encode()) as oauth:
        assert oauth.refresh("r" * 20, scopes=("payment", "trade")).scopes == ("payment", "trade")
    assert "a" * 20 not in repr(Tokens("a" * 20, "r" * 20, 60, ()))
