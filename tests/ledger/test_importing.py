"""Bank statements: uploaded, looked at, booked once; matched to deposits, or in suspense."""

from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backoffice.errors import KeyReused, MoveNotAllowed
from backoffice.models import Event
from ledger import deposits
from ledger.bank import accounts as bank_accounts
from ledger.bank import importing
from ledger.bank.importing import RowsWrong
from ledger.bank.lines import FileBroken, FileForbidden, FileTooLarge, OtherAccount
from ledger.models import Account, BankLine, BankStatement, Deposit, Entry, MatchingRule, Posting
from ledger.verify import verify
from tests import world
from tests.edges.staff import fingerprint
from tests.ledger import payments, statements
from tests.ledger.payments import BY, NOW, D
from tests.ledger.statements import Entry as Line

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


def camt(*lines, **given):
    return statements.statement(*lines, **given)


def states():
    return list(BankLine.objects.order_by("id").values_list("state", flat=True))


def standing(purpose):
    return Account.objects.get(pk=getattr(bank_accounts, purpose)("EUR").pk).posted


def test_a_statement_is_uploaded_looked_at_and_booked_line_by_line():
    amina = payments.client()
    row = payments.deposit(amina, "100.00")
    content = camt(
        Line(amount="100.00", text=f"deposit {row.reference.lower()}", who="Amina Odhiambo", bank_id="B1"),
        Line(amount="70.00", text="no reference", who="Somebody"),
        Line(amount="12.50", side="DBIT", text="Fees"),
        opening="5.00",
    )
    before = fingerprint()
    statement = payments.upload(content)
    looked = importing.preview(statement)
    assert [one.kind for one in looked.outcomes] == ["matched", "suspense", "out"]
    assert looked.outcomes[0].deposit == row and looked.outcomes[1].reason == "It names no deposit"
    assert (looked.total("matched"), looked.total("suspense"), looked.total("out")) == (
        D("100"),
        D("70"),
        D("-12.5"),
    )
    changed = {name for name, was in before.items() if fingerprint()[name] != was}
    assert changed <= {"ledger.BankStatement", "ledger.BankAccount", "backoffice.Event"}  # nothing is booked
    done = importing.confirm(statement, by=BY, at=NOW, key="k")
    assert (done.state, done.lines_new, done.money_in, done.money_out) == ("imported", 3, D("170"), D("12.5"))
    assert states() == ["matched", "suspense", "unmatched_out"]
    row.refresh_from_db()
    assert (row.state, row.external_id, payments.in_wallet(amina)) == ("completed", "B1", D("100"))
    assert payments.ours(payments.bank()).posted == D("157.50")  # what moved on it, whatever it opened with
    assert (standing("suspense"), standing("unmatched_out")) == (D("70"), D("12.5"))
    line = BankLine.objects.get(state="matched")
    assert (line.deposit, line.entry, line.reason) == (
        row,
        row.entry,
        f"Credited by its reference {row.reference}",
    )
    (event,) = Event.objects.filter(name="bank_statement.imported")
    assert (event.payload["matched"], event.payload["suspense"], event.payload["out"]) == (1, 1, 1)
    assert all(not check.found for check in verify(10))


def test_the_same_file_twice_is_the_first_result_whoever_sends_it_and_however_often_it_is_confirmed():
    content = camt(Line(amount="10.00"))
    first = payments.imported(content)
    before = fingerprint()
    again = payments.upload(content)
    assert again == first and again.state == "imported"
    assert importing.confirm(again, by=BY, at=NOW, key="another").imported_at == first.imported_at
    assert fingerprint() == before
    other = payments.imported(camt(Line(amount="11.00")))
    with pytest.raises(KeyReused):
        importing.confirm(other, by=BY, at=NOW, key="another")


def test_an_overlapping_statement_books_only_what_is_new():
    monday = [Line(amount="1.00", text="Same"), Line(amount="1.00", text="Same"), Line(amount="2.00")]
    tuesday = [Line(amount="1.00", text="Same", day="2026-11-21")]
    payments.imported(camt(*monday))
    second = payments.upload(camt(*monday, *tuesday, number="2026-2"))
    assert [one.kind for one in importing.preview(second).outcomes] == ["known", "known", "known", "suspense"]
    done = importing.confirm(second, by=BY, at=NOW, key=world.key())
    assert (done.lines_read, done.lines_new) == (4, 1)
    assert payments.ours(payments.bank()).posted == D("5")
    third = payments.imported(camt(*monday, number="2026-3"))
    assert (third.lines_new, BankLine.objects.count()) == (0, 4)


def test_a_discarded_statement_books_nothing_and_comes_back_with_the_same_file():
    content = camt(Line(amount="10.00"))
    statement = payments.upload(content)
    assert importing.discard(statement, by=BY, at=NOW).state == "discarded"
    assert importing.discard(statement, by=BY, at=NOW).state == "discarded"
    before = fingerprint()
    with pytest.raises(MoveNotAllowed):
        importing.confirm(statement, by=BY, at=NOW, key="k")
    assert {name for name, was in fingerprint().items() if before[name] != was} == set()
    back = payments.upload(content)
    assert (back, back.state) == (statement, "uploaded")
    importing.confirm(back, by=BY, at=NOW, key="k2")
    with pytest.raises(MoveNotAllowed):
        importing.discard(back, by=BY, at=NOW)


@pytest.mark.parametrize(
    "content, refusal",
    [
        (b"", FileBroken),
        (b"x" * (importing.MOST_BYTES + 1), FileTooLarge),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', FileForbidden),
        (camt(Line(amount="1.00"), iban="NL91ABNA0417164300"), OtherAccount),
        (camt(Line(amount="1.00"))[:-30], FileBroken),
    ],
)
def test_a_file_that_is_no_statement_of_the_account_is_not_kept(content, refusal):
    payments.bank()
    before = fingerprint()
    with pytest.raises(refusal):
        payments.upload(content)
    assert fingerprint() == before


def test_a_file_with_rows_that_cannot_be_read_is_shown_and_not_booked():
    statement = payments.upload(payments.csv_file("2026-11-20;10.00;x;;", "2026-11-20;ten;y;;"))
    looked = importing.preview(statement)
    assert ([one.kind for one in looked.outcomes], [error.place for error in looked.errors]) == (
        ["suspense"],
        [3],
    )
    before = fingerprint()
    with pytest.raises(RowsWrong):
        importing.confirm(statement, by=BY, at=NOW, key="k")
    assert fingerprint() == before


# ── matching ────────────────────────────────────────────────────────────────────────────────────────────────────


def outcome(line, **rule):
    if rule:
        MatchingRule.objects.update_or_create(currency_id="EUR", defaults=rule)
    (one,) = importing.preview(payments.upload(camt(line, number=world.key()))).outcomes
    return one.kind, one.reason


def test_a_reference_counts_within_the_rule_s_tolerance():
    row = payments.deposit(amount="100.00")
    text = f"Paid: {row.reference}"
    assert outcome(Line(amount="98.00", text=text))[0] == "matched"
    kind, reason = outcome(Line(amount="97.99", text=text))
    assert (kind, reason) == ("suspense", f"Its amount is too far from what was asked under {row.reference}")
    assert outcome(Line(amount="97.99", text=text), tolerance=D("5.00"))[0] == "matched"
    assert outcome(Line(amount="98.00", text=text), tolerance=0, tolerance_rate=0)[0] == "suspense"


def test_what_comes_late_is_credited_for_as_long_as_the_rule_says():
    row = payments.deposit(amount="100.00")
    deposits.cancel(row, by=BY, at=NOW - timedelta(days=10))
    line = Line(amount="100.00", text=row.reference)
    assert outcome(line)[0] == "matched"
    assert outcome(line, late_days=3) == (
        "suspense",
        f"The deposit {row.reference} ended more than 3 days before",
    )
    MatchingRule.objects.all().delete()
    payments.imported(camt(line))
    row.refresh_from_db()
    assert (row.state, "came after it was cancelled" in row.note) == ("completed", True)


def test_a_second_payment_under_one_reference_waits_in_suspense():
    row = payments.deposit(amount="100.00")
    line = Line(amount="100.00", text=row.reference)
    statement = payments.imported(camt(line, line))
    assert states() == ["matched", "suspense"]
    assert (
        statement.lines.get(state="suspense").reason
        == f"The deposit {row.reference} is paid by an earlier line"
    )
    assert outcome(Line(amount="100.00", text=row.reference, day="2026-11-21")) == (
        "suspense",
        f"The deposit {row.reference} is completed already",
    )


def test_two_references_none_known_and_money_taken_back_are_for_a_person():
    one, two = payments.deposit(), payments.deposit()
    assert (
        outcome(Line(amount="100.00", text=f"{one.reference} {two.reference}"))[1]
        == "It names several deposits"
    )
    Deposit.objects.filter(pk=two.pk).update(reference="NX-2222-2222")
    assert (
        outcome(Line(amount="100.00", text=two.reference))[1]
        == f"No deposit has the reference {two.reference}"
    )
    line = Line(amount="100.00", text=one.reference, reversal=True)
    assert outcome(line) == ("suspense", "It takes back a payment of ours")


def test_somebody_else_may_pay_unless_the_rule_says_no():
    row = payments.deposit(payments.client("Amina", "Odhiambo"))
    for who, kind in (
        ("Lucas Ferreira", "suspense"),
        ("ODHIAMBO, Amina", "matched"),
        ("Mrs Amina Odhiámbo", "matched"),
        ("", "matched"),
    ):
        line = Line(amount="100.00", text=row.reference, who=who)
        assert outcome(line, others_may_pay=True)[0] == "matched"
        assert outcome(line, others_may_pay=False)[0] == kind, who


def test_amount_and_name_are_credited_only_if_the_rule_says_so_and_one_deposit_fits_to_the_word():
    amina = payments.client("Amina", "Odhiambo")
    payments.deposit(amina, "100.00")
    line = Line(amount="100.00", who="Odhiambo Amina")
    assert outcome(line) == ("suspense", "It names no deposit")
    assert outcome(line, matches_by_name=True) == ("matched", "Credited by amount and name")
    assert outcome(Line(amount="100.01", who="Odhiambo Amina"))[0] == "suspense"
    assert outcome(Line(amount="100.00", who="Odhiambo Aminah"))[0] == "suspense"
    payments.deposit(amina, "100.00")
    assert outcome(line) == ("suspense", "Amount and name fit several deposits")


def test_the_most_specific_rule_applies():
    row = payments.deposit(amount="100.00")
    line = Line(amount="90.00", text=row.reference)
    MatchingRule.objects.create(tolerance=D("20"))
    assert outcome(line)[0] == "matched"
    MatchingRule.objects.create(currency_id="EUR", tolerance=D("1"))
    assert outcome(line)[0] == "suspense"
    mine = MatchingRule.objects.create(bank_account=payments.bank(), tolerance=D("20"))
    assert outcome(line)[0] == "matched"
    MatchingRule.objects.filter(pk=mine.pk).update(is_active=False)
    assert outcome(line)[0] == "suspense"


def test_a_reference_of_another_currency_credits_nobody():
    row = payments.deposit(amount="100.00", currency="USD")
    assert outcome(Line(amount="100.00", text=row.reference))[0] == "suspense"


def test_payments_of_ours_are_known_by_their_end_to_end_ids(monkeypatch):
    monkeypatch.setattr(importing.payments, "_items", {})
    importing.payments.register("test", lambda ids: {one: f"Payment {one}" for one in ids & {"PAY-1"}})
    content = camt(
        Line(amount="5.00", side="DBIT", end_to_end="PAY-1"), Line(amount="5.00", end_to_end="PAY-1", reversal=True),
        Line(amount="6.00", side="DBIT", end_to_end="PAY-2"),
    )  # fmt: skip
    assert [(one.kind, one.reason) for one in importing.preview(payments.upload(content)).outcomes] == [
        ("payment", "Payment PAY-1"), ("payment", "Payment PAY-1"), ("out", ""),
    ]  # fmt: skip
    payments.imported(content)
    assert states() == ["unmatched_out", "suspense", "unmatched_out"]


# ── any files, the same books ───────────────────────────────────────────────────────────────────────────────────


REFERENCE = "NX-2222-2222"
line_of_a_day = st.tuples(
    st.sampled_from(["1.00", "2.50", "100.00"]),
    st.sampled_from(["one", "two", REFERENCE]),
    st.sampled_from(["CRDT", "DBIT"]),
)


def books():
    """What stands on each account, every line by what it says and became, every posting."""
    return [
        sorted((row.purpose, str(row.owner_id or ""), row.posted) for row in Account.objects.filter(book="real") if row.posted),
        sorted(BankLine.objects.values_list("amount", "direction", "text", "state")),
        sorted(Posting.objects.values_list("side", "amount")),
        [row.state for row in Deposit.objects.all()],
    ]  # fmt: skip


def books_of(days, runs):
    """The books after each run of days was imported as a file of its own; undone afterwards."""
    with transaction.atomic():
        for start, end in runs:
            lines = [
                Line(amount=amount, text=text, side=side, day=f"2026-11-{day + 10}")
                for day in range(start, end)
                for amount, text, side in days[day]
            ]
            payments.imported(camt(*lines, number=f"{start}-{end}"))
        found = books()
        transaction.set_rollback(True)
    return found


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=st.lists(st.lists(line_of_a_day, max_size=4), min_size=1, max_size=4), chance=st.randoms())
def test_any_split_of_the_days_into_files_overlapping_and_in_any_order_gives_the_same_books(days, chance):
    with transaction.atomic():
        amina = payments.client()
        payments.deposit(amina, "100.00")
        Deposit.objects.update(reference=REFERENCE)
        runs, start = [], 0
        while start < len(days):
            end = chance.randint(start + 1, len(days))
            runs.append((max(0, start - chance.randint(0, 1)), end))
            start = end
        chance.shuffle(runs)
        assert books_of(days, runs) == books_of(days, [(0, len(days))])
        transaction.set_rollback(True)


def test_entries_of_one_import_are_one_for_each_line_and_equal_the_statement():
    lines = [Line(amount=f"{n}.00", side="DBIT" if n % 3 == 0 else "CRDT") for n in range(1, 30)]
    payments.imported(camt(*lines))
    assert Entry.objects.count() == 29
    assert payments.ours(payments.bank()).posted == sum(line.signed for line in lines)
    assert BankStatement.objects.get().closing == payments.ours(payments.bank()).posted
