"""Money that changes its currency or its owner, and money put right by staff, told as accounting."""

import pytest

from compliance.models import Approval
from ledger import adjustments, transfers
from ledger.control import invariants
from ledger.models import Account, Adjustment, Entry, Transfer
from tests import books
from tests.ledger import transferring as desk
from tests.ledger.transferring import BY, NOW, D

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]

EXCHANGE = """\
2026-11-21 09:00:00  exchange  NX  Exchange NX
    Amina wallet EUR           100.00
    house exchange EUR                 100.00
    house exchange USD         110.00
    house exchange spread USD            0.55
    Amina wallet USD                   109.45"""

SENT = """\
2026-11-21 09:00:00  transfer  NX  Transfer NX
    Amina wallet EUR  25.00
    Lucas wallet EUR         25.00"""

ADJUSTED_AND_REVERSED = """\
2026-11-21 09:00:00  adjustment  Adjustment: Goodwill
    house goodwill EUR  20.00
    Amina wallet EUR           20.00

2026-11-21 09:00:00  reversal  Reversal: Goodwill
    house goodwill EUR         20.00
    Amina wallet EUR    20.00"""


@pytest.fixture
def amina():
    desk.rate()
    desk.spread(50)
    return desk.funded("1000.00")


def told(after, **names):
    return books.books_text(
        book="real", names={client.uuid: name for name, client in names.items()}, after=after
    )


def last():
    return Entry.objects.latest("id").pk


def hold_of(name):
    return invariants.run(name, by=BY, at=NOW).found


def test_money_changes_its_currency_at_the_rate_that_was_quoted_and_what_we_keep_stands_by_itself(amina):
    begun, quote = last(), desk.quote(amina)
    assert (quote.got, quote.spread, quote.rate, (quote.valid_until - NOW).seconds) == (
        D("109.45"),
        D("0.55"),
        D("1.0945"),
        30,
    )
    assert last() == begun
    row = desk.exchange(quote)
    assert told(begun, Amina=amina).replace(row.reference, "NX") == EXCHANGE
    assert (row.state, row.is_exchange, row.decision.outcome) == ("done", True, "allow")
    assert [hold_of(name) for name in ("exchange_positions_explained", "quotes_kept", "books_balance")] == [
        0,
        0,
        0,
    ]


def test_money_is_sent_to_another_client_by_their_code_alone(amina):
    lucas, begun = desk.desk.client("Lucas", "Ferreira"), last()
    row = desk.sent(amina, lucas)
    assert told(begun, Amina=amina, Lucas=lucas).replace(row.reference, "NX") == SENT
    assert (row.state, desk.in_wallet(amina), desk.in_wallet(lucas)) == ("done", 975, 25)


def test_what_compliance_wants_looked_at_is_held_and_moves_when_somebody_agrees_at_the_rate_of_the_quote(
    amina,
):
    desk.watched()
    begun, row = last(), desk.exchanged(amina)
    assert (row.state, row.hold.state, row.from_wallet.held, last()) == ("waiting", "held", 100, begun)
    desk.rate(mid="1.2000", at=NOW.replace(hour=10))
    assert desk.approve(row).state == "applied"
    row = transfers.of_pk(row.pk)
    assert (row.state, row.hold.state, row.approval, row.got) == (
        "done",
        "captured",
        desk.waiting(row),
        D("109.45"),
    )
    assert (
        told(begun, Amina=amina).replace(row.reference, "NX").split("\n", 1)[1] == EXCHANGE.split("\n", 1)[1]
    )


def test_what_is_refused_or_called_off_is_the_client_s_again_and_takes_no_room(amina):
    from backoffice.who import By
    from compliance import approvals
    from tests import world

    desk.watched()
    lucas = desk.desk.client("Lucas", "Ferreira")
    row = desk.sent(amina, lucas)
    approvals.reject(
        desk.waiting(row),
        reason="Not to them.",
        by=By.user(desk.checker("approve_transfer")),
        at=NOW,
        key=world.key(),
    )
    row = transfers.of_pk(row.pk)
    assert (row.state, row.hold.state, row.decision.activity.counts) == ("rejected", "released", False)
    other = transfers.cancel(desk.sent(amina, lucas), by=BY, at=NOW, reason="A mistake.")
    assert transfers.cancel(other, by=BY, at=NOW, reason="A mistake.").state == "cancelled"
    assert (desk.waiting(other).state, desk.in_wallet(amina)) == ("voided", 1000)


def test_what_compliance_blocks_is_stored_and_moves_nothing(amina):
    desk.watched("block", told="Not possible at the moment.")
    begun, quote = last(), desk.quote(amina)
    row = desk.exchange(quote)
    assert (row.state, row.told, row.hold, last()) == ("blocked", "Not possible at the moment.", None, begun)
    with pytest.raises(transfers.QuoteUsed):
        desk.exchange(quote)
    assert not Approval.objects.exists()


def test_an_adjustment_is_booked_when_another_person_agrees_and_reversed_when_another_does_again(amina):
    begun = last()
    row = desk.adjustment(amina, told="We are sorry for the delay.")
    assert (row.state, last()) == ("waiting", begun)
    desk.approve(row)
    row = adjustments.whole().get(pk=row.pk)
    assert (row.state, row.entry_id, desk.in_wallet(amina)) == ("applied", last(), 1020)
    back = adjustments.reverse(row, reason="It was the other client.", by=row_by(row), at=NOW, key="back")
    assert (back.state, back.direction, desk.in_wallet(amina)) == ("waiting", "debit", 1020)
    desk.approve(back)
    assert told(begun, Amina=amina) == ADJUSTED_AND_REVERSED
    assert desk.in_wallet(amina) == 1000
    assert hold_of("adjustments_agreed") == 0
    assert Adjustment.objects.filter(state="applied").count() == 2 and not Transfer.objects.exists()


def row_by(row):
    from backoffice.who import By

    return By.user(row.made_by_user)


def test_the_balance_sheet_of_each_currency_stays_whole(amina):
    from ledger.control import balance_sheet, client_money, totals

    desk.exchanged(amina)
    for sheet in balance_sheet.balance_sheet(totals.now("real")):
        assert sheet.total_assets == sheet.total_claims, sheet
    money = {sheet.currency: sheet for sheet in client_money.report(totals.now("real"))}
    assert (money["EUR"].difference, money["USD"].difference) == (100, D("-109.45"))
    assert money["USD"].unexplained == 0
    words = {line.words for line in money["USD"].lines}
    assert words == {
        "Exchanged by clients, and not yet between our banks",
        "Spreads of exchanges, not yet moved to our own bank account",
    }
    assert Account.objects.get(purpose="exchange", currency="USD").posted == -110
