"""Money comes by bank, told in order, as accounting text.

Amina and Lucas say that 100.00 and 50.00 will come. The bank's statement has Amina's under her reference, Lucas's without
one, and a charge. Lucas's waits in suspense until the payments desk assigns it. The next day's statement repeats the
first's lines and has a payment of Amina's after she had cancelled it.
"""

import pytest

from ledger import deposits
from ledger.bank import suspense
from ledger.models import BankLine
from ledger.verify import verify
from tests.books import balances_text, books_text
from tests.ledger import payments
from tests.ledger.payments import BY, NOW, D
from tests.ledger.statements import Entry as Line
from tests.ledger.statements import statement

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]

BOOKS = """
2026-11-21 09:00:00  deposit  AMINA-1  On House bank EUR · 2026-324, line 1
    House bank bank EUR         100.00
    Amina wallet EUR                     99.00
    house deposit fees EUR                1.00

2026-11-21 09:00:00  bank_in  A2  On House bank EUR · 2026-324, line 2
    House bank bank EUR          50.00
    house suspense EUR                   50.00

2026-11-21 09:00:00  bank_out  A3  On House bank EUR · 2026-324, line 3
    house unmatched out EUR       8.40
    House bank bank EUR                   8.40

2026-11-21 09:00:00  deposit  LUCAS-1  Out of suspense: LUCAS-1
    house suspense EUR           50.00
    Lucas wallet EUR                     49.00
    house deposit fees EUR                1.00

2026-11-21 09:00:00  bank_fee  Fee of the bank, House bank EUR
    house bank fees EUR           8.40
    house unmatched out EUR               8.40

2026-11-21 09:00:00  deposit  AMINA-2  On House bank EUR · 2026-325, line 4
    House bank bank EUR          30.00
    Amina wallet EUR                     29.00
    house deposit fees EUR                1.00
"""
BALANCES = """
House bank bank: 171.60 EUR
Amina wallet: 128.00 EUR
Lucas wallet: 49.00 EUR
house deposit fees: 3.00 EUR
house bank fees: 8.40 EUR
"""


def test_money_by_bank_from_the_request_to_the_wallet():
    amina, lucas = payments.client("Amina", "Odhiambo"), payments.client("Lucas", "Ferreira")
    house = payments.bank()
    payments.fee(fixed=D("1.00"))
    first, his = payments.deposit(amina, "100.00"), payments.deposit(lucas, "50.00")
    second = payments.deposit(amina, "30.00")

    friday = [
        Line(amount="100.00", text=f"My deposit {first.reference}", who="Amina Odhiambo", bank_id="A1"),
        Line(amount="50.00", text="trading", who="FERREIRA LUCAS", bank_id="A2"),
        Line(amount="8.40", side="DBIT", text="Charges", bank_id="A3"),
    ]
    payments.imported(statement(*friday, number="2026-324"))

    line = BankLine.objects.get(state="suspense")
    ((candidate, deposit),) = suspense.candidates_of(line)
    assert (deposit, candidate.words) == (his, "The amount and the name fit")
    suspense.assign(line, his, by=BY, at=NOW, key="lucas")
    suspense.book_fee(BankLine.objects.get(state="unmatched_out"), by=BY, at=NOW)

    deposits.cancel(second, by=BY, at=NOW)
    late = Line(amount="30.00", text=second.reference, who="Amina Odhiambo", bank_id="A4", day="2026-11-21")
    saturday = payments.imported(statement(*friday, late, number="2026-325"))
    assert (saturday.lines_read, saturday.lines_new) == (4, 1)
    second.refresh_from_db()
    assert (second.state, second.note) == ("completed", "The money came after it was cancelled.")

    names = {amina.uuid: "Amina", lucas.uuid: "Lucas", house.uuid: "House bank"}
    said = books_text(book="real", names=names)
    for row, name in ((first, "AMINA-1"), (his, "LUCAS-1"), (second, "AMINA-2")):
        said = said.replace(row.reference, name)
    assert [line.split() for line in said.splitlines()] == [
        line.split() for line in BOOKS.strip().splitlines()
    ]
    assert sorted(balances_text(book="real", names=names).splitlines()) == sorted(
        BALANCES.strip().splitlines()
    )
    assert payments.ours(house).posted == D("171.60")
    assert not any(check.found for check in verify(10))
