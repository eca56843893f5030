"""What the console shows before an act: the lines it would post, and nothing of it stays."""

import pytest

from ledger import deposits, journal
from ledger.admin.preview import preview, preview_of
from ledger.bank import accounts as bank_accounts
from ledger.wallets import wallet
from tests.edges.staff import fingerprint
from tests.ledger import payments
from tests.ledger.payments import BY, NOW, D

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


def test_an_act_is_shown_with_balances_before_and_after_and_nothing_stays():
    amina, house = payments.client(), payments.bank()
    payments.complete(payments.deposit(amina, "40.00"), "40.00")
    row = payments.deposit(amina, "100.00")
    before = fingerprint()
    shown = preview_of(
        lambda: deposits.complete(row, amount=D("100"), source=payments.ours(house), by=BY, at=NOW)
    )
    assert fingerprint() == before
    assert "Balance before" in shown and "Balance after" in shown
    for amount in ("40.00", "100.00", "140.00"):
        assert f">{amount} " in shown
    row.refresh_from_db()
    assert row.state == "pending"


def test_accounts_that_an_act_would_open_are_not_there_afterwards():
    amina = payments.client()
    before = fingerprint()

    def act():
        house = bank_accounts.suspense("EUR")
        mine = wallet(amina.uuid, "EUR", at=NOW)
        lines = [journal.debit(house, D("1")), journal.credit(mine, D("1"))]
        journal.post(kind="test", lines=lines, by=BY, at=NOW, key="k")

    assert "suspense EUR" in preview_of(act)
    assert fingerprint() == before


def test_a_refusal_is_shown_in_the_place_of_lines():
    amina = payments.client()
    row = payments.complete(payments.deposit(amina, "40.00"), "40.00")
    house = payments.ours(payments.bank())
    lines = [journal.debit(row.wallet, D("50")), journal.credit(house, D("50"))]
    before = fingerprint()
    shown = preview([journal.Draft(kind="test", lines=lines, at=NOW, key="k")])
    assert "INSUFFICIENT_FUNDS" in shown and "Balance after" not in shown
    assert preview_of(lambda: None) == "<p>Nothing is posted by this.</p>"
    assert fingerprint() == before
