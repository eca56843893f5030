"""The transaction history and statements over the API: everything of one's own, once, at a constant cost."""

from datetime import timedelta
from decimal import Decimal

import pytest

from backoffice.who import By
from brokerage.models import Funding
from compliance.models import Client
from ledger import accounts, journal
from ledger.wallets import wallet
from tests import world
from tests.edges.api import App, app_of
from tests.world import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
PAGE = """query($first: Int, $after: String, $filter: TransactionFilter) {
    transactions(first: $first, after: $after, filter: $filter) {
        edges { cursor node { id type status words amount { amount currency } balance { amount } reference note
                              externalId createdAt completedAt fee { amount } } }
        pageInfo { hasNextPage endCursor } } }"""
STATEMENT = """query($currency: String!, $period: PeriodInput!, $client: ID) {
    statement(currency: $currency, period: $period, client: $client) {
        opening { amount } closing { amount } lines { words reference amount { amount } balance { amount } } sha256 lateLines } }"""
BY = By.system("test")


def deposit(
    client: Client, amount: str, *, kind: str = "deposit", currency: str = "USD", days: int = 0
) -> None:
    at = NOW + timedelta(days=days)
    bank = accounts.house("real", currency, "bank", "asset")
    ours, value = wallet(client.uuid, currency, at=at), Decimal(amount)
    lines = [journal.debit(bank, value), journal.credit(ours, value)]
    journal.post(kind=kind, lines=lines, by=BY, at=at, key=world.key(), reference=f"{kind} {amount}",
                 narration="Our own words about it")  # fmt: skip


@pytest.fixture
def account():
    found = world.granted()
    deposit(found.client, "100.00")
    deposit(found.client, "5.00", kind="fee")
    deposit(found.client, "7.00", kind="strange", days=1)
    deposit(found.client, "20.00", currency="EUR", days=2)
    return found


def funding(account, state, **given):
    return Funding.objects.create(
        client=account.client, account=account, wallet=wallet(account.client.uuid, "USD", at=NOW), direction="from_venue",
        amount="5.00", currency=account.currency, state=state, key=world.key(), requested_at=NOW, changed_at=NOW, **given,
    )  # fmt: skip


def listed(app, **given):
    return [edge["node"] for edge in app.data(PAGE, **given)["edges"]]


def test_the_history_has_postings_and_requests_that_are_not_posted_newest_first(account):
    funding(account, "pending")
    funding(account, "lapsed")
    rows = listed(app_of(account))
    assert [(row["type"], row["status"], row["amount"]["amount"]) for row in rows] == [
        ("TRANSFER", "CANCELLED", "5.00"),
        ("TRANSFER", "PROCESSING", "5.00"),
        ("DEPOSIT", "COMPLETED", "20.00"),
        ("OTHER", "COMPLETED", "7.00"),
        ("FEE", "COMPLETED", "5.00"),
        ("DEPOSIT", "COMPLETED", "100.00"),
    ]
    assert [row["balance"] and row["balance"]["amount"] for row in rows] == [
        None, None, "20.00", "112.00", "105.00", "100.00",
    ]  # fmt: skip
    assert "Our own words" not in str(rows), "narrations are ours"


def test_a_request_that_was_posted_stands_there_once_as_its_posting(account):
    made = funding(account, "done", venue_transaction_id=4711)
    bank = accounts.house("real", "USD", "agent_float", "asset")
    lines = [journal.debit(bank, Decimal("5.00")), journal.credit(made.wallet, Decimal("5.00"))]
    journal.post(kind="funding", lines=lines, by=BY, at=NOW, key=world.key(), subject=("funding", made.uuid))
    (row,) = listed(app_of(account), filter={"types": ["TRANSFER"]})
    assert (row["externalId"], row["status"], row["balance"]["amount"]) == ("4711", "COMPLETED", "117.00")
    assert row["words"] == "Transfer with a trading account"


def test_it_is_filtered_by_type_status_currency_and_period(account):
    funding(account, "pending")
    app = app_of(account)

    def amounts(**wanted):
        return [row["amount"]["amount"] for row in listed(app, filter=wanted)]

    assert amounts(types=["DEPOSIT"]) == ["20.00", "100.00"]
    assert amounts(types=["OTHER", "FEE"]) == ["7.00", "5.00"]
    assert amounts(statuses=["PROCESSING"]) == ["5.00"]
    assert amounts(statuses=["COMPLETED"], currency="EUR") == ["20.00"]
    day = f"{NOW + timedelta(days=1):%Y-%m-%d}"
    assert amounts(period={"first": day, "last": day}) == ["7.00"]
    assert amounts(statuses=["FAILED"]) == []


def test_pages_follow_each_other_without_a_gap_or_a_repetition(account):
    for _ in range(3):
        funding(account, "pending")
    app = app_of(account)
    whole = [row["id"] for row in listed(app)]
    assert len(set(whole)) == 7
    seen, after = [], None
    for _ in range(4):
        page = app.data(PAGE, first=2, after=after)
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
    assert seen == whole and page["pageInfo"]["hasNextPage"] is False
    assert app.code(PAGE, first=101) == "INVALID_INPUT"
    assert app.code(PAGE, after="nonsense") == "INVALID_INPUT"


def test_it_costs_the_same_however_long_it_is(account, django_assert_num_queries):
    app = app_of(account)
    funding(account, "pending")
    listed(app)
    with django_assert_num_queries(
        7
    ):  # session with user, clients, postings, and a question for each kind of request
        listed(app)
    for number in range(5):
        deposit(account.client, "1.00", days=number)
        funding(account, "refused")
    with django_assert_num_queries(7):
        assert len(listed(app)) == 15


def test_a_statement_adds_up_and_is_proved_by_its_hash(account):
    app = app_of(account)
    period = {"first": f"{NOW:%Y-%m-%d}", "last": f"{NOW:%Y-%m-%d}"}
    found = app.data(STATEMENT, currency="USD", period=period)
    assert (found["opening"], found["closing"]) == ({"amount": "0.00"}, {"amount": "105.00"})
    assert [line["words"] for line in found["lines"]] == ["Deposit", "Fee"]
    again = app.data(STATEMENT, currency="USD", period=period, client=str(account.client.uuid))
    assert again["sha256"] == found["sha256"]


def test_nobody_else_s_history_or_statement_is_shown(account):
    stranger = app_of(world.account())
    assert listed(stranger) == []
    period = {"first": f"{NOW:%Y-%m-%d}", "last": f"{NOW:%Y-%m-%d}"}
    assert (
        stranger.code(STATEMENT, currency="USD", period=period, client=str(account.client.uuid))
        == "NOT_FOUND"
    )
    assert App().code(PAGE) == "NOT_AUTHENTICATED"
    own = app_of(account)
    assert own.code(STATEMENT, currency="NOPE", period=period) == "INVALID_INPUT"
    backwards = {"first": "2026-02-02", "last": "2026-02-01"}
    assert own.code(STATEMENT, currency="USD", period=backwards) == "INVALID_INPUT"
