"""Live trades over `graphql-transport-ws`: who may listen, where it begins, and resuming without a gap."""

import json
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from decimal import Decimal

import jwt
import pytest
from django.conf import settings
from django.utils import timezone
from websockets.exceptions import ConnectionClosed, InvalidStatus, NegotiationError
from websockets.sync.client import connect

from backoffice import sessions
from backoffice.models import Event, User
from backoffice.staff import console_sessions
from brokerage.models import Trade
from compliance import viewing
from compliance.models import Membership
from tests import world
from tests.running import LiveApp, until

pytestmark = pytest.mark.processes
STATUS = """subscription($id: ID!, $after: Int) {
    tradeStatus(id: $id, afterVersion: $after) { version state event } }"""
BALANCE = "subscription { walletBalance { wallet { currency posted { amount } held { amount } available { amount } } } }"
CHANGES = "subscription($after: String) { tradeChanges(after: $after) { cursor event trades { id state } } }"


class Socket:
    """One socket of an app, speaking the protocol by hand."""

    def __init__(self, wire):
        self._wire = wire

    def say(self, **message):
        self._wire.send(json.dumps(message))

    def hear(self):
        return json.loads(self._wire.recv(20))

    def subscribe(self, query, **variables):
        self.say(id="1", type="subscribe", payload={"query": query, "variables": variables})

    def next(self):
        message = self.hear()
        assert message["type"] == "next", message
        return next(iter(message["payload"]["data"].values()))

    def code(self):
        """The code of the error that a subscription ends with."""
        message = self.hear()
        errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
        return errors[0]["extensions"]["code"]


@contextmanager
def socket(running, authorization=None, protocol="graphql-transport-ws", init=True):
    address = running.url.replace("http", "ws") + "/graphql/"
    with connect(address, subprotocols=[protocol]) as wire:
        made = Socket(wire)
        if init:
            made.say(
                type="connection_init", payload={"authorization": authorization} if authorization else {}
            )
            assert made.hear()["type"] == "connection_ack"
        yield made


def versions(trade):
    found = Event.objects.about("trade", trade["id"]).values_list("subject_version", "name")
    return [(version, name) for version, name in found]


def test_a_stranger_hears_nothing(deployment, app):
    trade = app.place()
    for query, variables in ((STATUS, {"id": trade["id"]}), (CHANGES, {}), (BALANCE, {})):
        with socket(deployment) as stranger:
            stranger.subscribe(query, **variables)
            assert stranger.code() == "NOT_AUTHENTICATED"


def test_a_bad_or_expired_token_is_refused_with_its_code(deployment, app):
    claims = jwt.decode(app.access, settings.SECRET_KEY, algorithms=["HS256"], audience="api")
    expired = {**claims, "exp": int((timezone.now() - timedelta(seconds=1)).timestamp())}
    late = jwt.encode(expired, settings.SECRET_KEY, algorithm="HS256")
    for token, code in (("nonsense", "INVALID_TOKEN"), (late, "TOKEN_EXPIRED")):
        with socket(deployment, f"Bearer {token}") as made:
            made.subscribe(CHANGES)
            assert made.code() == code


def test_logging_out_ends_what_is_listened_to(deployment, app):
    with socket(deployment, f"Bearer {app.access}") as mine:
        mine.subscribe(CHANGES)
        assert mine.next()["event"] == "present"
        app.data("mutation { logOut { ... on LoggedOut { loggedOut } } }")
        assert mine.code() == "INVALID_TOKEN"


def token_of(who, deployment, app):
    """The token that a caller of this kind comes with, looking at the client of `app`."""
    client = Trade.objects.filter(client__membership__user__email=app.email).latest("id").client
    now = timezone.now()
    if who == "anonymous":
        return None
    if who == "owner":
        return app.access
    if who == "other client":
        return LiveApp(deployment).sign_up().access
    if who == "viewer":
        other = LiveApp(deployment).sign_up()
        user = User.objects.get(email=other.email)
        Membership.objects.filter(user=user).delete()
        Membership.objects.create(client=client, user=user, role="viewer")
        return other.access
    user = world.staff("Support")
    if who == "staff":
        session = console_sessions.start(user, second_factor=False, at=now)
        return sessions.access_token(session, expires_at=now + timedelta(minutes=5))
    look = viewing.begin(client, user, at=now, reason="They say that a trade is missing.")
    return sessions.access_token(look, expires_at=viewing.until(look))


@pytest.mark.parametrize(
    ("who", "of_trade", "of_changes"),
    [
        ("anonymous", "NOT_AUTHENTICATED", "NOT_AUTHENTICATED"),
        ("staff", "INVALID_TOKEN", "INVALID_TOKEN"),
        ("other client", "NOT_FOUND", "present"),
        ("viewer", "present", "present"),
        ("look", "present", "present"),
        ("owner", "present", "present"),
    ],
)
def test_each_kind_of_caller_hears_what_the_table_says(deployment, app, who, of_trade, of_changes):
    trade = app.place()
    app.wait_final(trade["id"])
    token = token_of(who, deployment, app)
    heard = {}
    for query, variables in ((STATUS, {"id": trade["id"]}), (CHANGES, {})):
        with socket(deployment, f"Bearer {token}" if token else None) as made:
            made.subscribe(query, **variables)
            message = made.hear()
            if message["type"] == "next" and not message["payload"].get("errors"):
                found = next(iter(message["payload"]["data"].values()))
                heard[query] = found["event"]
                if query == CHANGES and who == "other client":
                    assert trade["id"] not in str(found)
            else:
                errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
                heard[query] = errors[0]["extensions"]["code"]
    assert heard == {STATUS: of_trade, CHANGES: of_changes}


def test_another_clients_trade_cannot_be_listened_to(deployment, app):
    trade = app.place()
    stranger = LiveApp(deployment).sign_up()
    with socket(deployment, f"Bearer {stranger.access}") as theirs:
        theirs.subscribe(STATUS, id=trade["id"])
        assert theirs.code() == "NOT_FOUND"


def test_the_legacy_protocol_is_not_spoken(deployment):
    with (
        pytest.raises((NegotiationError, InvalidStatus, ConnectionClosed)),
        socket(deployment, protocol="graphql-ws"),
    ):
        pass


def test_a_status_begins_with_the_present_and_ends_when_the_trade_is_final(deployment, app):
    trade = app.place()
    app.wait_final(trade["id"])
    with socket(deployment, f"Bearer {app.access}") as mine:
        mine.subscribe(STATUS, id=trade["id"])
        status = mine.next()
        assert (status["event"], status["version"]) == ("present", 4)
        assert mine.hear()["type"] == "complete"


def test_a_status_resumes_from_the_last_version_seen_without_a_gap(deployment, app):
    trade = app.place(duration=5)
    with socket(deployment, f"Bearer {app.access}") as mine:
        mine.subscribe(STATUS, id=trade["id"], after=0)
        first = mine.next()
        assert (first["version"], first["event"]) == (1, "trade.placed")
    app.wait_final(trade["id"])  # everything else happens while nobody listens
    with socket(deployment, f"Bearer {app.access}") as mine:
        mine.subscribe(STATUS, id=trade["id"], after=1)
        heard = [mine.next() for _ in range(3)]
        assert mine.hear()["type"] == "complete"
    assert [(step["version"], step["event"]) for step in heard] == versions(trade)[1:]


def test_changes_resume_from_a_cursor_without_a_gap_and_in_order(deployment, app):
    with socket(deployment, f"Bearer {app.access}") as mine:
        mine.subscribe(CHANGES)
        cursor = mine.next()["cursor"]
    placed = [app.place(stake=f"{stake}.00", duration=1) for stake in (10, 11, 12)]
    for trade in placed:
        app.wait_final(trade["id"])
    ids = [trade["id"] for trade in placed]
    until(
        lambda: not Event.objects.filter(subject_id__in=ids).unsequenced().exists(),
        "every event has its position",
    )
    expected = list(
        Event.objects.filter(subject_id__in=ids).order_by("position").values_list("subject_id", "name")
    )
    with socket(deployment, f"Bearer {app.access}") as mine:
        mine.subscribe(CHANGES, after=cursor)
        heard = [mine.next() for _ in expected]
    assert [(change["trades"][0]["id"], change["event"]) for change in heard] == [
        (str(i), n) for i, n in expected
    ]
    with socket(deployment, f"Bearer {app.access}") as mine:
        mine.subscribe(CHANGES, after=heard[4]["cursor"])
        assert mine.next()["cursor"] and len(expected) > 5


def test_sockets_that_watch_the_same_trade_each_hear_what_they_asked_for(deployment, app):
    trade = app.place(duration=5)
    short = "subscription($id: ID!) { tradeStatus(id: $id) { version } }"
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket(deployment, f"Bearer {app.access}")) for _ in range(4)]
        queries = [STATUS, STATUS, short, STATUS.replace("version state event", "state was: version event")]
        for mine, query in zip(sockets, queries, strict=True):
            mine.subscribe(
                query, **({"id": trade["id"]} if query is short else {"id": trade["id"], "after": 0})
            )
        heard = [list(iter(lambda mine=mine: one_of(mine), None)) for mine in sockets]
    assert heard[0] == heard[1] and [step["version"] for step in heard[0]] == [1, 2, 3, 4]
    assert heard[2][-1] == {"version": 4} and all(step.keys() == {"version"} for step in heard[2])
    assert [step["was"] for step in heard[3]] == [1, 2, 3, 4] and "version" not in heard[3][0]


def one_of(mine):
    """The next message's one field; None when the subscription is complete."""
    message = mine.hear()
    return None if message["type"] == "complete" else next(iter(message["payload"]["data"].values()))


def test_a_cursor_that_is_not_ours_is_refused(deployment, app):
    with socket(deployment, f"Bearer {app.access}") as mine:
        mine.subscribe(CHANGES, after="12345")
        assert mine.code() == "INVALID_INPUT"


def test_no_secret_is_in_any_log(deployment, app):
    """Passwords, tokens of ours and of the venue: after all of this, none of them was written down."""
    from brokerage.models import TradingAccount
    from tests import world

    secrets = [world.PASSWORD, app.access.split(".")[2]]
    secrets += [account.secret for account in TradingAccount.objects.to_stream().select_related("grant")]
    assert len(secrets) > 2 and all(secrets)
    for log in deployment.logs.glob("*.log"):
        text = log.read_text()
        assert not [secret for secret in secrets if secret in text], log.name


def test_balances_begin_with_the_present_and_follow_whatever_changes_them(deployment, app):
    from compliance.models import Client
    from ledger import accounts, holds, journal
    from ledger.wallets import wallet

    client, now = Client.objects.get(membership__user__email=app.email), timezone.now()
    account, bank = wallet(client.uuid, "USD", at=now), accounts.house("real", "USD", "bank", "asset")
    other = LiveApp(deployment).sign_up()
    with (
        socket(deployment, f"Bearer {app.access}") as mine,
        socket(deployment, f"Bearer {other.access}") as theirs,
    ):
        mine.subscribe(BALANCE)
        theirs.subscribe(BALANCE)
        assert mine.next()["wallet"]["posted"]["amount"] == "0.00"
        lines = [journal.debit(bank, Decimal("5.00")), journal.credit(account, Decimal("5.00"))]
        journal.post(
            kind="deposit", lines=lines, by=world.TESTER, at=now, key=world.key(), client_id=client.uuid
        )
        assert mine.next()["wallet"]["available"]["amount"] == "5.00"
        holds.place(account=account, amount=Decimal("2.00"), purpose="test", by=world.TESTER, at=now, key=world.key(),
                    client_id=client.uuid)  # fmt: skip
        heard = mine.next()["wallet"]
        assert (heard["posted"]["amount"], heard["held"]["amount"], heard["available"]["amount"]) == (
            "5.00",
            "2.00",
            "3.00",
        )
        wallet(Client.objects.get(membership__user__email=other.email).uuid, "EUR", at=now)
        assert theirs.next()["wallet"]["currency"] == "EUR", "nothing of another client's before it"
