"""The first trade of a new client, through the public API alone, told in order.

Amina signs up, gets a demo account of 10,000.00 USD, watches her trades, stakes 10.00 on a rise, and sees it
settle. Afterwards our mirror of her account, the venue's own books and her balance say the same.
"""

import json
import re
from decimal import Decimal

import pytest
from websockets.sync.client import connect

from backoffice.models import Event
from brokerage.models import Trade
from ledger.models import Entry
from tests.running import LiveApp, read_log, until

pytestmark = pytest.mark.processes
CHANGES = "subscription { tradeChanges { cursor event trades { id state } } }"
STATUS = "subscription($id: ID!) { tradeStatus(id: $id) { version state event trade { profit { amount } } } }"


OPENED = """
venue_deposit  Opening balance at the venue
    house venue funding     10,000.00
    Amina trading cash                 10,000.00

stake  Stake
    Amina trading cash      10.00
    Amina open stakes                  10.00
"""
WON = f"""{OPENED}
contract_won  Contract won
    Amina open stakes       10.00
    Amina trading cash                 19.53
    house venue result      9.53
"""
LOST = f"""{OPENED}
contract_lost  Contract lost
    Amina open stakes       10.00
    house venue result                 10.00
"""


def posted(public_id: str) -> str:
    """What the books say, with times, numbers of contracts, shards and the width of columns left out."""
    account = Trade.objects.get(uuid=public_id).account
    rows = []
    for entry in Entry.objects.filter(book="demo_mirror", client_id=account.client.uuid).order_by("id"):
        rows.append(f"\n{entry.kind}  {re.sub(r'(of contract )?[0-9]{6,} ?', '', entry.narration).strip()}")
        for posting in entry.postings.select_related("account").order_by("line"):
            owner = "Amina" if posting.account.owner_id == account.uuid else "house"
            name = f"{owner} {posting.account.purpose.replace('_', ' ')}"
            rows.append(f"    {name:<24}{'' if posting.side == 'debit' else ' ' * 11}{posting.amount:,.2f}")
    return "\n".join(rows) + "\n"


def watch_and_place(app: LiveApp) -> tuple[str, list[str], list[str]]:
    """Subscribe first, then place: what both subscriptions told until the trade was final."""
    address = app.running.url.replace("http", "ws") + "/graphql/"
    with connect(address, subprotocols=["graphql-transport-ws"]) as socket:

        def say(**message):
            socket.send(json.dumps(message))

        def hear():
            return json.loads(socket.recv(30))

        say(type="connection_init", payload={"authorization": f"Bearer {app.access}"})
        assert hear()["type"] == "connection_ack"
        say(id="changes", type="subscribe", payload={"query": CHANGES})
        first = hear()["payload"]["data"]["tradeChanges"]
        assert (first["event"], first["trades"]) == ("present", [])
        trade = app.place()
        say(id="one", type="subscribe", payload={"query": STATUS, "variables": {"id": trade["id"]}})
        changes, steps = [], []
        while not (
            steps and steps[-1] in ("WON", "LOST") and changes[-1:] in (["trade.won"], ["trade.lost"])
        ):
            message = hear()
            if message["type"] != "next":
                continue
            if message["id"] == "changes":
                change = message["payload"]["data"]["tradeChanges"]
                assert change["trades"][0]["id"] == trade["id"]
                changes.append(change["event"])
            else:
                steps.append(message["payload"]["data"]["tradeStatus"]["state"])
        return trade["id"], changes, steps


def test_the_first_trade(deployment):
    app = LiveApp(deployment).sign_up()
    account = app.wait_for_account()
    assert account["balance"]["amount"] == "10000.00"
    assert Decimal(app.data(
        "query($input: TradeTermsInput!) { proposal(input: $input) { ... on Proposal { payout { amount } } } }",
        input={"symbol": "R_100", "side": "CALL", "stake": "10.00", "duration": 2},
    )["payout"]["amount"]) == Decimal("19.53")  # fmt: skip

    public_id, changes, steps = watch_and_place(app)

    assert changes[:3] == ["trade.placed", "trade.submitted", "trade.opened"]
    assert changes[3:] in (["trade.won"], ["trade.lost"])
    assert steps[-1] in ("WON", "LOST") and steps == sorted(
        steps, key=["QUEUED", "SUBMITTING", "OPEN", steps[-1]].index
    )
    trade = app.trade(public_id)
    won = trade["state"] == "WON"
    assert trade["profit"]["amount"] == ("9.53" if won else "-10.00")
    balance = app.account()["balance"]["amount"]
    assert balance == ("10009.53" if won else "9990.00")

    books = deployment.books(account["loginId"])
    assert [(line["action"], line["amount"]) for line in books["lines"]] == [
        ("virtual_credit", "10000.00"), ("buy", "-10.00"), ("sell", "19.53" if won else "0.00"),
    ]  # fmt: skip
    assert books["account"]["balance"] == balance

    assert posted(public_id) == (WON if won else LOST)


def test_a_trade_sold_early_ends_with_what_the_venue_paid(deployment):
    app = LiveApp(deployment).sign_up()
    account = app.wait_for_account()
    trade = app.place(symbol="R_50", duration=30, durationUnit="SECONDS")
    until(lambda: app.trade(trade["id"])["state"] == "OPEN", "the trade is open")
    sell = """mutation($id: ID!, $key: String!) { sellTrade(id: $id, key: $key) {
        ... on TradeAnswer { trade { state } } ... on Problem { code } } }"""

    def sold():
        # The venue refuses a sale at the entry tick; the app may ask again.
        app.data(sell, id=trade["id"], key="sell")
        return app.trade(trade["id"])["state"] == "SOLD"

    until(sold, "the trade is sold", 25)
    books = deployment.books(account["loginId"])
    assert app.account()["balance"]["amount"] == books["account"]["balance"]


def test_one_correlation_id_follows_a_trade_from_the_request_to_the_venue(deployment):
    app = LiveApp(deployment).sign_up()
    app.wait_for_account()
    app.request_id = "follow-me-0001"
    app.wait_final(app.place()["id"])

    def processes():
        found = {
            name for name in ("web", "workers", "streams")
            if any(line.get("correlation_id") == "follow-me-0001" for line in read_log(deployment.logs, name))
        }  # fmt: skip
        return found == {"web", "workers", "streams"}

    until(processes, "web, workers and streams logged the id")
    names = set(Event.objects.filter(correlation_id="follow-me-0001").values_list("name", flat=True))
    assert {"trade.placed", "trade.submitted", "trade.opened"} <= names
