"""Every entry says what stands behind it: the request, the provider's word, the rule, who agreed."""

import pytest
from django.core.management import call_command
from django.utils import timezone

from backoffice.who import By
from brokerage import demo, funding
from brokerage.models import Funding
from compliance import approvals
from ledger import adjustments, coins, debts
from ledger.control.explain import explain, explains
from ledger.models import Account, CoinArrival, CoinRoute, Entry
from tests.edges import staff
from tests.ledger import paying, transferring
from tests.ledger import payments as desk
from tests.ledger.arrivals import arrival
from tests.ledger.payments import BY, NOW, D
from tests.ledger.test_claims import line

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


def facts(entry):
    """What is known of the entry, by the explanation of one of its accounts."""
    posting = entry.postings.order_by("id").last()
    found = explain(
        posting.account_id, accounts=Account.objects.all(), entries=Entry.objects.filter(pk=entry.pk)
    )
    return dict(found.steps[0].facts)


def unexplained():
    """Kinds of entries, with what they are about, of which nobody says anything."""
    kinds = Entry.objects.order_by().values_list("kind", "subject_type").distinct()
    return [
        (kind, about)
        for kind, about in kinds
        if not facts(Entry.objects.filter(kind=kind, subject_type=about).latest("id"))
    ]


@pytest.mark.usefixtures("the_venue")
def test_every_kind_of_entry_of_the_demo_s_books_has_an_explanation():
    call_command("load_demo", verbosity=0)
    demo.link_one(at=timezone.now())
    funding.push(Funding.objects.get(), now=timezone.now)
    assert Entry.objects.values("kind", "subject_type").distinct().count() >= 9
    assert unexplained() == []


def test_every_kind_of_entry_that_tests_can_make_has_an_explanation():
    staff.everything()
    line("75.00", number="9", side="CRDT")
    kinds = set(Entry.objects.values_list("kind", flat=True))
    assert {"deposit", "chargeback", "stake", "bank_in", "venue_deposit"} <= kinds
    assert unexplained() == []


def test_a_kind_of_thing_nobody_registered_is_found_out(monkeypatch):
    line("75.00", side="CRDT")
    kept = dict(explains._items)
    kept.pop("bank_line")
    monkeypatch.setattr(explains, "_items", kept)
    assert ("bank_in", "bank_line") in unexplained()


def test_coins_are_explained_by_their_transaction_their_block_and_the_rule():
    client = desk.client()
    CoinRoute.objects.create(currency_id="BTC", network="bitcoin", confirmations=3)
    row = arrival(client)
    coins.credit(row, height=103, at=NOW)
    row = CoinArrival.objects.select_related("deposit__entry", "address").get()
    said = facts(row.deposit.entry)
    assert said["Asked for"] == f"0.25000000 BTC by crypto, {row.deposit.reference}"
    assert said["Sent to"] == f"{row.address.address} (Bitcoin)"
    assert said["The custodian told"] == "transaction 6a5a53244d, output 0, in block 101"
    assert said["Rule"] == "credited when 3 blocks bury it, its own counted"


def test_too_few_coins_are_explained_where_they_are_booked():
    CoinRoute.objects.create(currency_id="BTC", network="bitcoin", confirmations=3, least=D("1"))
    row = arrival(desk.client())
    row = coins.credit(row, height=103, at=NOW)
    said = facts(Entry.objects.get(kind="coins_beside"))
    assert "At least 1 BTC is credited." in said["State"] and said["Client"] == "Amina Odhiambo"


def test_a_card_s_deposit_chargeback_and_debt_are_explained_by_the_collector_s_word_and_who_gave_it_up():
    client = desk.client()
    _, taken, debt = desk.taken_back(client)
    said = facts(taken.deposit.entry)
    assert (said["Collector"], said["Its number of the payment"]) == ("Stripe", "pi_1")
    assert said["It told"] == "dispute opened (evt_1)"
    said = facts(Entry.objects.get(kind="chargeback"))
    assert (said["Deposit"], said["Its id"], said["It told"]) == (
        taken.deposit.reference,
        "dp_1",
        "dispute opened (evt_1)",
    )
    debts.ask_write_off(debt, reason="The client cannot be found.", by=BY, at=NOW)
    checker = transferring.checker("write_off_debt")
    found = paying.Approval.objects.get(kind=debts.WRITE_OFF)
    approvals.approve(found, content_hash=found.content_hash, by=By.user(checker), at=NOW, key="k")
    said = facts(Entry.objects.get(kind="debt_written_off"))
    assert (said["Reason"], said["Agreed to by"]) == ("The client cannot be found.", str(checker))
    assert said["Owed for"] == str(taken)


def test_an_adjustment_says_for_what_it_was_and_who_agreed():
    client = transferring.funded("1000.00")
    row = transferring.adjustment(client)
    approval = transferring.approve(row)
    said = facts(adjustments.whole().get(pk=row.pk).entry)
    assert said["Agreed to by"] == str(approval.votes.get().by_user) and said["Category"] == "Goodwill"
