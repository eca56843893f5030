"""Coins in and out, told in order, as accounting text.

Amina sends half a bitcoin to her address; three blocks later it is hers. A few coins too few to be credited come too, and
the desk credits them. She takes 0.2 out: the custodian's answer is lost, it is asked, and the chain takes the payout. A
second one fails on the chain and is hers again, fee and all.
"""

from datetime import timedelta

import pytest

from ledger import coins, payments
from ledger.custodian.simulator.addresses import made
from ledger.models import CoinArrival, CoinRoute, Fee, Payment, WithdrawalRoute
from ledger.verify import verify
from tests.books import balances_text, books_text
from tests.ledger import paying
from tests.ledger import payments as desk
from tests.ledger.payments import BY, NOW, D

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]

BOOKS = """
2026-11-21 09:00:00  deposit  IN-1  Crypto IN-1
    house custody BTC       0.50000000
    Amina wallet BTC                    0.50000000

2026-11-21 09:00:00  coins_beside  Too few coins to be credited
    house custody BTC       0.00050000
    house coins beside BTC              0.00050000

2026-11-21 09:00:00  deposit  IN-2  Crypto IN-2
    house coins beside BTC  0.00050000
    Amina wallet BTC                    0.00050000

2026-11-21 09:00:00  withdrawal  OUT-1  Crypto OUT-1
    Amina wallet BTC           0.20000000
    house payments out BTC                 0.19900000
    house withdrawal fees BTC              0.00100000

2026-11-21 09:01:00  withdrawal_paid  OUT-1  Crypto OUT-1
    house payments out BTC  0.19900000
    house custody BTC                   0.19900000

2026-11-21 09:00:00  withdrawal  OUT-2  Crypto OUT-2
    Amina wallet BTC           0.10000000
    house payments out BTC                 0.09900000
    house withdrawal fees BTC              0.00100000

2026-11-21 09:01:00  withdrawal_failed  OUT-2  The custodian says that its chain did not take it.
    house payments out BTC     0.09900000
    house withdrawal fees BTC  0.00100000
    Amina wallet BTC                       0.10000000
"""
BALANCES = """
house custody: 0.30150000 BTC
Amina wallet: 0.30050000 BTC
house withdrawal fees: 0.00100000 BTC
"""


def tidy(text: str) -> str:
    """Columns as wide as they are, so that names of changing width do not matter."""
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


def later(minutes: int):
    return lambda: NOW + timedelta(minutes=minutes)


def paid(to, amount: str) -> Payment:
    row = paying.withdrawal(to.client, amount, to)
    return (row if row.payments.exists() else paying.approve(row)).payments.get()


def test_coins_from_the_chain_to_the_wallet_and_back(the_custodian):
    amina = desk.client("Amina", "Odhiambo")
    amina.kyc_level = 3
    amina.save()
    CoinRoute.objects.create(currency_id="BTC", network="bitcoin", confirmations=3, least=D("0.001"))
    WithdrawalRoute.objects.create(method="crypto", currency_id="BTC", provider="crypto", cool_off_hours=0)
    Fee.objects.create(direction="out", method="crypto", currency_id="BTC", fixed=D("0.001"))
    address = coins.address_for(amina, "BTC", by=BY, at=NOW).address

    for amount in ("0.5", "0.0005"):
        the_custodian.send(address, amount)
        the_custodian.mine(2)
        coins.read(now=later(0))
        assert not CoinArrival.objects.filter(amount=D(amount)).exclude(state="confirming").exists()
        the_custodian.mine()
        coins.read(now=later(0))
    few = CoinArrival.objects.get(state="too_small")
    coins.credit_all_the_same(few, by=BY, at=NOW, key="k", reason="A good client.")

    to = paying.beneficiary(
        amina, method="crypto", currency="BTC", number=made("bitcoin", "hers"), network="bitcoin"
    )
    the_custodian.fault("lose_answer")
    first = payments.push(paid(to, "0.2"), now=later(0))
    assert first.state == "unknown"
    the_custodian.mine()
    assert payments.push(first, now=later(1)).state == "confirmed"

    the_custodian.fault("fail")
    second = payments.push(paid(to, "0.1"), now=later(0))
    assert second.state == "sent"
    the_custodian.mine()
    assert payments.push(second, now=later(1)).state == "failed"

    text = books_text(book="real", names={amina.uuid: "Amina"})
    arrived = CoinArrival.objects.order_by("id").values_list("deposit__reference", flat=True)
    left = [row.withdrawal.reference for row in (first, second)]
    for reference, called in zip([*arrived, *left], ["IN-1", "IN-2", "OUT-1", "OUT-2"], strict=True):
        text = text.replace(reference, called)
    assert tidy(text) == tidy(BOOKS)
    assert tidy(balances_text(book="real", names={amina.uuid: "Amina"})) == tidy(BALANCES)
    assert [found for checked in verify() for found in checked.differences] == []
