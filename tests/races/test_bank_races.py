"""Two at once on bank statements and suspense, with real threads: each line is booked once, each assigned once."""

import threading

import pytest
from django.db.models import QuerySet

from backoffice.errors import KeyReused, MoveNotAllowed
from ledger.bank import importing, suspense
from ledger.models import BankAccount, BankLine, BankStatement, Deposit
from tests.ledger import payments
from tests.ledger.payments import BY, NOW, D
from tests.ledger.statements import Entry as Line
from tests.ledger.statements import statement
from tests.races.test_trade_races import at_once, count

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reference_data")]


def two_files():
    """Two statements that have a line in common."""
    shared = Line(amount="10.00", text="shared")
    return [
        payments.upload(statement(shared, Line(amount=amount, text=amount), number=amount)) for amount in ("1.00", "2.00")
    ]  # fmt: skip


def confirm(row, key="k"):
    return importing.confirm(row, by=BY, at=NOW, key=key)


def test_twin_without_the_bank_account_s_lock_the_ledger_s_key_must_stop_the_shared_line(monkeypatch):
    both_have_looked = threading.Barrier(2)
    plain = importing._outcomes

    def outcomes(*args, **given):
        found = plain(*args, **given)
        both_have_looked.wait(10)
        return found

    monkeypatch.setattr(importing, "_outcomes", outcomes)
    plain_lock = QuerySet.select_for_update
    monkeypatch.setattr(
        QuerySet, "select_for_update",
        lambda self, **given: self if self.model is BankAccount else plain_lock(self, **given),
    )  # fmt: skip
    one, two = two_files()
    results = at_once(lambda: confirm(one, "a"), lambda: confirm(two, "b"))
    assert [type(found) for found in results if isinstance(found, Exception)] == [KeyReused]
    assert BankLine.objects.filter(text="shared").count() == 1


def test_two_files_with_one_line_in_common_book_it_once():
    one, two = two_files()
    results = at_once(lambda: confirm(one, "a"), lambda: confirm(two, "b"))
    assert sorted(row.lines_new for row in results) == [1, 2]
    assert payments.ours(payments.bank()).posted == D("13")


def test_one_file_uploaded_and_imported_by_several_at_once_is_one_statement_booked_once():
    amina = payments.client()
    row = payments.deposit(amina, "100.00")
    content = statement(Line(amount="100.00", text=row.reference), Line(amount="1.00"))
    uploaded = at_once(*[lambda: payments.upload(content) for _ in range(4)])
    assert {found.pk for found in uploaded} == {BankStatement.objects.get().pk}
    results = at_once(*[lambda key=key: confirm(uploaded[0], key) for key in "aabb"])
    assert {found.state for found in results} == {"imported"}
    assert (BankLine.objects.count(), count("bank_statement.imported"), count("deposit.completed")) == (
        2,
        1,
        1,
    )
    assert payments.in_wallet(amina) == D("100")


def test_two_who_assign_one_line_credit_it_once():
    amina, lucas = payments.client(), payments.client("Lucas", "Ferreira")
    payments.imported(statement(Line(amount="70.00")))
    line = BankLine.objects.get()
    results = at_once(
        lambda: suspense.assign(line, amina, by=BY, at=NOW, key="a"),
        lambda: suspense.assign(line, lucas, by=BY, at=NOW, key="b"),
    )
    assert [type(found) for found in results if isinstance(found, Exception)] == [MoveNotAllowed]
    assert payments.in_wallet(amina) + payments.in_wallet(lucas) == D("70")


def test_an_import_and_somebody_who_assigns_suspense_to_the_same_deposit_complete_it_once():
    amina = payments.client()
    row = payments.deposit(amina, "100.00")
    payments.imported(statement(Line(amount="100.00", text="no reference"), number="1"))
    line = BankLine.objects.get()
    second = payments.upload(statement(Line(amount="100.00", text=row.reference), number="2"))
    results = at_once(
        lambda: suspense.assign(line, row, by=BY, at=NOW, key="a"), lambda: confirm(second, "b")
    )
    assert [type(found) for found in results if isinstance(found, Exception)] in ([], [MoveNotAllowed])
    assert Deposit.objects.get(pk=row.pk).state == "completed"
    assert (payments.in_wallet(amina), count("deposit.completed")) == (D("100"), 1)
    assert BankLine.objects.filter(state="suspense").count() == 1
