"""Whatever is taken back, held, recovered, won or lost: nothing appears, nothing is lost, and what is held stays held."""

from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import clawbacks, debts, deposits, holds
from ledger.collecting import accounts, taking
from ledger.collecting.amounts import minor, of_minor
from ledger.collecting.port import Found, Outcome
from ledger.control.invariants import invariants
from ledger.models import Account, Debt
from tests import world
from tests.ledger import payments as desk
from tests.ledger.cards import BY, NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
cents = st.integers(1, 20_000).map(lambda many: Decimal(many).scaleb(-2))


@given(amount=st.integers(1, 10**15), currency=st.sampled_from(["EUR", "USD", "BTC"]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_amount_in_the_smallest_unit_and_back_is_the_same(amount, currency):
    exponent = {"EUR": 2, "USD": 2, "BTC": 8}[currency]
    assert minor(of_minor(amount, currency.lower()), exponent) == amount
    assert of_minor(-amount, currency) == of_minor(amount, currency)


def test_what_has_more_decimals_than_its_currency_is_never_rounded():
    with pytest.raises(ValueError, match="more decimals"):
        minor(Decimal("1.005"), 2)


def by_card(client, amount):
    row = deposits.create(
        client,
        method="card",
        currency="EUR",
        amount=amount,
        by=BY,
        at=NOW,
        key=world.key(),
        collector="stripe",
    )
    row = deposits.begin(row, external_id=world.key(), by=BY, at=NOW)
    return taking.settle(row, Found(outcome=Outcome.SUCCEEDED, amount=amount, currency="EUR"), by=BY, at=NOW)


def now_of(account):
    return Account.objects.get(pk=account.pk)


@given(came=cents, held=cents, taken=cents, later=cents, recovers=st.booleans(), wins=st.booleans())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_money_is_conserved_and_holds_stand(came, held, taken, later, recovers, wins):
    with transaction.atomic():
        client = desk.client()
        row = by_card(client, came)
        held = min(held, came)
        holds.place(account=row.wallet_id, amount=held, purpose="test", by=BY, at=NOW, key=world.key())
        back = clawbacks.take_back(row, "chargeback", external_id=world.key(), amount=taken, by=BY, at=NOW)
        wallet = now_of(row.wallet)
        owed = accounts.owed_by(client, "EUR", at=NOW)
        assert (wallet.held, wallet.available) == (held, max(came - held - taken, 0))
        assert now_of(owed).posted == max(taken - (came - held), 0)
        by_card(client, later)
        debt = Debt.objects.filter(claw_back=back).first()
        if debt is not None and recovers:
            debts.recover(debt, by=BY, at=NOW, key=world.key())
        clawbacks.win(back, by=BY, at=NOW) if wins else clawbacks.lose(back, by=BY, at=NOW)
        wallet, owes = now_of(row.wallet), now_of(owed).posted
        assert wallet.posted - owes == came + later - (0 if wins else taken)
        assert wallet.held == held and (not wins or owes == 0)
        assert list(invariants.get("debts_are_owed").check(NOW)) == []
        transaction.set_rollback(True)
