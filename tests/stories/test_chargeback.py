"""Money by card, told as accounting: it comes, leaves again, and is taken back after it was gone."""

import pytest

from backoffice.who import By
from compliance import approvals
from compliance.models import Approval
from ledger import debts
from ledger.collecting.port import collectors
from ledger.models import Account, ClawBack, Debt, Entry, Fee
from tests import books, world
from tests.ledger import cards, paying
from tests.ledger import payments as desk
from tests.ledger.cards import BY, NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]

STORY = """\
deposit  NX  Card NX
    Stripe collector EUR      200.00
    Amina wallet EUR                  196.20
    house deposit fees EUR              3.80

chargeback  NX  Chargeback of NX
    Amina wallet EUR           46.20
    Amina receivable EUR      153.80
    house collector fees EUR   15.00
    Stripe collector EUR              215.00

deposit  NX2  Card NX2
    Stripe collector EUR      200.00
    Amina wallet EUR                  196.20
    house deposit fees EUR              3.80

debt_recovered  NX  Debt of NX
    Amina wallet EUR          153.80
    Amina receivable EUR              153.80"""


def told(amina, after, **names):
    text = books.books_text(
        book="real", names={amina.uuid: "Amina", collectors.get("stripe").uuid: "Stripe"}, after=after
    )
    for name, said in names.items():
        text = text.replace(said, name)
    return "\n".join(line[21:] if line[:2] == "20" else line for line in text.splitlines())


def gone(amina, amount):
    """The client takes so much out."""
    paying.policy(0)
    paying.withdrawal(amina, amount)


def owed(client, currency="EUR"):
    found = Account.objects.filter(purpose="receivable", owner_id=client.uuid, currency=currency).first()
    return found.posted if found else 0


@pytest.fixture
def amina(shop):
    client = desk.client()
    client.kyc_level = 2
    client.save()
    Fee.objects.create(direction="in", method="card", currency_id="EUR", rate="0.019")
    return client


def test_a_chargeback_after_the_money_was_withdrawn_is_owed_queued_and_recovered_when_they_deposit_again(
    shop, amina
):
    begun = Entry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    first = cards.paid(shop, amina, "200.00")
    gone(amina, "150.00")
    assert (desk.in_wallet(amina), first.wallet.available) == (desk.D("196.20"), desk.D("196.20"))
    found = cards.applied(cards.event("charge.dispute.created", cards.dispute(first, 20_000)))
    assert found.state == "applied"
    row, debt = ClawBack.objects.get(), Debt.objects.get()
    # What is held for the withdrawal is not taken.
    assert (row.state, row.amount, row.fee, debt.state, debt.left) == (
        "open",
        200,
        15,
        "open",
        desk.D("153.80"),
    )
    assert (desk.in_wallet(amina), owed(amina)) == (150, desk.D("153.80"))
    assert debt in Debt.objects.open() and debt.why.startswith("Money was taken back")
    second = cards.paid(shop, amina, "200.00")
    debt = debts.recover(debt, by=BY, at=NOW, key="k")
    assert (debt.state, debt.left, owed(amina)) == ("recovered", 0, 0)
    assert debts.recover(debt, by=BY, at=NOW, key="k").recovered == desk.D("153.80")
    assert desk.in_wallet(amina) == desk.D("192.40")
    assert told(amina, begun, NX2=second.reference, NX=first.reference) == STORY


def test_a_dispute_that_is_won_ends_the_debt_first_and_the_rest_is_in_the_wallet_again(shop, amina):
    row = cards.paid(shop, amina, "200.00")
    gone(amina, "150.00")
    cards.applied(cards.event("charge.dispute.created", cards.dispute(row, 20_000)))
    cards.applied(cards.event("charge.dispute.closed", cards.dispute(row, 20_000, status="won")))
    assert (ClawBack.objects.get().state, Debt.objects.get().state) == ("won", "cancelled")
    assert (desk.in_wallet(amina), owed(amina)) == (desk.D("196.20"), 0)


def test_a_dispute_that_is_lost_leaves_what_is_owed_owed_and_others_may_agree_to_write_it_off(shop, amina):
    row = cards.paid(shop, amina, "200.00")
    gone(amina, "150.00")
    cards.applied(cards.event("charge.dispute.created", cards.dispute(row, 20_000)))
    cards.applied(cards.event("charge.dispute.closed", cards.dispute(row, 20_000, status="lost")))
    debt = Debt.objects.get()
    assert (ClawBack.objects.get().state, debt.state) == ("lost", "open")
    maker, checker = world.staff("Administrator"), world.staff("Administrator")
    debt = debts.ask_write_off(debt, reason="They cannot be found.", by=By.user(maker), at=NOW)
    found = Approval.objects.get(kind="write_off")
    assert (debt.state, found.amount, found.needed) == ("asked", desk.D("153.80"), 1)
    with pytest.raises(approvals.OwnRequest):
        approvals.approve(found, content_hash=found.content_hash, by=By.user(maker), at=NOW, key="a")
    approvals.approve(found, content_hash=found.content_hash, by=By.user(checker), at=NOW, key="b")
    debt = Debt.objects.get()
    assert (debt.state, debt.written_off, owed(amina)) == ("written_off", desk.D("153.80"), 0)
    assert Account.objects.get(purpose="bad_debts").posted == desk.D("153.80")
