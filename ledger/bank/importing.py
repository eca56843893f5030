"""Bank statements come in: uploaded, looked at line by line, and booked, all of one or nothing.

`upload` keeps the file and refuses what is no statement of the account; `preview` says what each line would do, as the
books stand now; `confirm` does it. A line is booked once, whatever files it is in, by its fingerprint.
"""

import base64
import gc
import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from backoffice import events, keys, metrics
from backoffice.database import uuid7
from backoffice.errors import DomainError, MoveNotAllowed
from backoffice.registry import Port
from backoffice.wake import wake
from backoffice.who import By
from ledger import deposits, journal
from ledger.bank import accounts, camt053, csv_lines
from ledger.bank.lines import (
    MOST_BYTES,
    Expected,
    FileBroken,
    FileTooLarge,
    Line,
    Read,
    RowError,
    cut,
    fingerprints,
    plain_number,
)
from ledger.bank.matching import Known, decide, references_of
from ledger.bank.rules import rule_of, wanted_of
from ledger.models import Account, BankAccount, BankLine, BankStatement, Deposit, Method

State = BankStatement.State
SUBJECT: Final = "bank_statement"
# Entries in one statement of the database.
BATCH: Final = 1000

# Who knows payments of ours by their end-to-end ids or references: what they are, in words. For lines out, and lines in
# that come back.
payments: Final[Port[Callable[[set[str]], dict[str, str]]]] = Port("payments of ours on bank statements")


class RowsWrong(DomainError):
    """Some rows of the file cannot be read; nothing of it is booked until all can."""

    code = "ROWS_WRONG"
    field = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a line would do. `kind`: matched, suspense, out, payment (ours), or known (booked before)."""

    line: Line
    fingerprint: str
    kind: str
    reason: str = ""
    deposit: Deposit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A file as the books stand now: what each line would do, which rows are wrong, and what it comes to."""

    read: Read
    outcomes: tuple[Outcome, ...]
    errors: tuple[RowError, ...]

    @property
    def new(self) -> list[Outcome]:
        return [one for one in self.outcomes if one.kind != "known"]

    @property
    def counts(self) -> Counter[str]:
        return Counter(one.kind for one in self.outcomes)

    def total(self, kind: str) -> Decimal:
        """What the lines of a kind come to: in less out."""
        return sum((one.line.signed for one in self.outcomes if one.kind == kind), Decimal(0))


@metrics.verb("statement.upload")
def upload(bank_account: BankAccount, *, name: str, content: bytes, by: By, at: datetime) -> BankStatement:
    """Keep a file that is a statement of this account, to be looked at. Nothing is booked.

    The same file again is the same statement, whoever sends it, and says what became of it; one that was discarded
    waits again. Files are told apart by their content, for each account.

    :raises FileTooLarge, FileBroken, FileForbidden, FileUnknown, FileAmbiguous, OtherAccount, BalancesDiffer: what is wrong
        with the file as a whole; nothing is kept. Rows that are wrong are kept, and told by `preview`.
    """
    check_size(len(content))
    digest = hashlib.sha256(content).hexdigest()
    kept = BankStatement.objects.filter(bank_account=bank_account, file_hash=digest).first()
    if kept is None:
        found = parse(content, bank_account)
        row = BankStatement(
            bank_account=bank_account, file_name=cut(name, 200) or "statement", file_hash=digest,
            content=base64.b64encode(zlib.compress(content)).decode(), format=found.format, number=found.number,
            starts_on=found.starts_on, ends_on=found.ends_on, opening=found.opening, closing=found.closing,
            lines_read=len(found.lines), uploaded_by=by.name, uploaded_at=at,
        )  # fmt: skip
        try:
            with transaction.atomic():
                row.save(force_insert=True)
                _record("bank_statement.uploaded", row, by=by, at=at)
            return row
        except IntegrityError as clash:
            if "bank_statement_file_once" not in str(clash):
                raise
            kept = BankStatement.objects.get(bank_account=bank_account, file_hash=digest)
    if kept.state == State.DISCARDED:
        kept = _decide(kept, State.UPLOADED, "bank_statement.uploaded", by=by, at=at)
    return kept


def preview(statement: BankStatement) -> Preview:
    """What importing the statement now would do. Changes nothing; a handful of queries, however many lines."""
    found = parse(file_of(statement), statement.bank_account)
    return Preview(read=found, outcomes=tuple(_outcomes(statement.bank_account, found)), errors=found.errors)


@metrics.verb("statement.confirm")
def confirm(statement: BankStatement, *, by: By, at: datetime, key: str) -> BankStatement:
    """Book every line that is new, all or none: to its deposit, to suspense, or as money out that nothing explains yet.

    What a line does is decided now, under the locks, not when somebody looked. A statement that is imported already is
    the answer as it is. Locks the statement, the bank account (so that two files with the same line meet), the deposits
    by primary key, then every ledger account involved by primary key.

    :raises RowsWrong: if a row cannot be read. :raises MoveNotAllowed: if the statement was discarded.
    :raises KeyReused: if the key was used for another statement. Also the refusals of `journal.post`.
    """
    with _uncollected(), transaction.atomic():
        row = _locked(statement)
        keys.claim(by=by, verb="statement.confirm", key=key, content=str(row.uuid), at=at)
        if row.state == State.IMPORTED:
            return row
        check_may_move(row, State.IMPORTED)
        BankAccount.objects.select_for_update(no_key=True).get(pk=row.bank_account_id)
        found = parse(file_of(row), row.bank_account)
        if found.errors:
            raise RowsWrong(
                f"{len(found.errors):,} rows cannot be read; the first is row {found.errors[0].place}."
            )
        new = [one for one in _outcomes(row.bank_account, found, lock=True) if one.kind != "known"]
        _book(row, new, by=by, at=at)
        if any(one.kind == "payment" for one in new):
            wake("payouts.claim_lines")
        row.state, row.imported_at, row.imported_by = State.IMPORTED, at, by.name
        row.lines_new = len(new)
        row.money_in = sum((one.line.amount for one in new if one.line.direction == "in"), Decimal(0))
        row.money_out = sum((one.line.amount for one in new if one.line.direction == "out"), Decimal(0))
        row.save(update_fields=["state", "imported_at", "imported_by", "lines_new", "money_in", "money_out"])
        _record("bank_statement.imported", row, by=by, at=at, counts=Counter(one.kind for one in new))
    return row


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without looking for garbage meanwhile. Some hundred thousand objects are made and all needed until the end; looking
    through them again and again took a seventh of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def discard(statement: BankStatement, *, by: By, at: datetime, reason: str = "") -> BankStatement:
    """Set a statement aside without booking anything of it. Discarded again, nothing changes. Locks the statement.

    :raises MoveNotAllowed: if it is imported.
    """
    return _decide(statement, State.DISCARDED, "bank_statement.discarded", by=by, at=at, reason=reason)


def parse(content: bytes, bank_account: BankAccount) -> Read:
    """A file's lines, by what the file is. :raises InvalidInput: as `upload`."""
    expected = Expected(
        numbers=frozenset(filter(None, (plain_number(bank_account.iban), plain_number(bank_account.number)))),
        currency=bank_account.currency_id, exponent=bank_account.currency.exponent, columns=bank_account.csv_columns,
    )  # fmt: skip
    if not content.strip():
        raise FileBroken("The file is empty.")
    head = content[:512].lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").replace(b"\0", b"")
    reader = camt053.read if head.startswith(b"<") else csv_lines.read
    return reader(content, expected)


def check_size(size: int) -> None:
    """:raises FileTooLarge: before anything of the file is read."""
    if size > MOST_BYTES:
        raise FileTooLarge(
            f"The file has {size / 2**20:,.0f} MB; at most {MOST_BYTES // 2**20} MB are taken in."
        )


def file_of(statement: BankStatement) -> bytes:
    """The file as it was uploaded."""
    return zlib.decompress(base64.b64decode(statement.content))


def check_may_move(statement: BankStatement, state: str) -> None:
    """:raises MoveNotAllowed: if it cannot go from its state to this one."""
    if state not in BankStatement.MOVES[State(statement.state)]:
        raise MoveNotAllowed(f"The statement is: {statement.get_state_display().lower()}.")


def check_may_import(statement: BankStatement) -> None:
    """:raises MoveNotAllowed: if it is imported or discarded. :raises RowsWrong: if a row of it cannot be read."""
    check_may_move(statement, State.IMPORTED)
    _check_rows(parse(file_of(statement), statement.bank_account))


def _check_rows(found: Read) -> None:
    if found.errors:
        raise RowsWrong(
            f"{len(found.errors):,} rows cannot be read; the first is row {found.errors[0].place}."
        )


# ── what lines do ───────────────────────────────────────────────────────────────────────────────────────────────


def _outcomes(bank_account: BankAccount, found: Read, *, lock: bool = False) -> list[Outcome]:
    """What each line does, in the file's order. With `lock` the deposits it may complete stay as they are until the end."""
    prints = fingerprints(found.lines)
    known = set(
        BankLine.objects.filter(bank_account=bank_account, fingerprint__in=prints).values_list(
            "fingerprint", flat=True
        )
    )
    fresh = [line for line, mark in zip(found.lines, prints, strict=True) if mark not in known]
    rule = rule_of(bank_account)
    rows = _deposits_for(bank_account, fresh, by_amount=rule.matches_by_name, lock=lock)
    wanted = Known(map(wanted_of, rows.values()))
    ours = _payments_of(fresh)
    taken: set[int] = set()
    outcomes = []
    for line, mark in zip(found.lines, prints, strict=True):
        if mark in known:
            outcomes.append(Outcome(line=line, fingerprint=mark, kind="known", reason="Booked before"))
        elif line.direction == "out" or line.end_to_end_id in ours:
            words = next((ours[name] for name in _names(line) if name in ours), "")
            kind = "payment" if words else "out"
            outcomes.append(Outcome(line=line, fingerprint=mark, kind=kind, reason=words))
        else:
            verdict = decide(line, wanted, rule)
            row, reason = rows[verdict.deposit] if verdict.deposit is not None else None, verdict.reason
            if row is not None and row.pk in taken:
                reason, row = f"The deposit {row.reference} is paid by an earlier line", None
            if row is not None:
                taken.add(row.pk)
            kind = "matched" if row is not None else "suspense"
            outcomes.append(Outcome(line=line, fingerprint=mark, kind=kind, reason=reason, deposit=row))
    return outcomes


def _deposits_for(
    bank_account: BankAccount, lines: Sequence[Line], *, by_amount: bool, lock: bool
) -> dict[int, Deposit]:
    """The deposits that lines may be for, by primary key: those they name, and the open ones of their amounts."""
    came = [line for line in lines if line.direction == "in" and not line.is_reversal]
    named = {reference for line in came for reference in references_of(line)}
    amounts = {line.amount for line in came if not references_of(line)} if by_amount else set()
    rows = Deposit.objects.filter(method=Method.BANK, currency=bank_account.currency_id)
    wanted = rows.filter(reference__in=named) | rows.open().filter(amount__in=amounts)
    if lock:
        wanted = wanted.select_for_update(of=("self",), no_key=True)
    return {row.pk: row for row in wanted.select_related("client", "wallet", "currency").order_by("pk")}


def _payments_of(lines: Sequence[Line]) -> dict[str, str]:
    names = {name for line in lines for name in _names(line)}
    return {name: words for known in payments for name, words in known(names).items()} if names else {}


def _names(line: Line) -> list[str]:
    """What a line may know a payment of ours by: its end-to-end id, and of money out any reference in its text."""
    own = [line.end_to_end_id] if line.end_to_end_id else []
    return own + references_of(line) if line.direction == "out" else own


# ── booking them ────────────────────────────────────────────────────────────────────────────────────────────────


def _book(statement: BankStatement, outcomes: list[Outcome], *, by: By, at: datetime) -> None:
    if not outcomes:
        return
    currency = statement.bank_account.currency_id
    bank = accounts.ledger_account(statement.bank_account, at=at)
    between = {"in": accounts.suspense(currency), "out": accounts.unmatched_out(currency)}
    receipts = iter(deposits.with_fees([
        deposits.Receipt(
            deposit=one.deposit, amount=one.line.amount, source=bank, external_id=one.line.bank_id,
            narration=f"On {statement}, line {one.line.place}",
        )
        for one in outcomes if one.deposit is not None
    ]))  # fmt: skip
    kept = [(uuid7(), one, next(receipts) if one.deposit is not None else None) for one in outcomes]
    drafts = [_draft(statement, uuid, one, receipt, bank, between, at) for uuid, one, receipt in kept]
    # All accounts in their order first: the batches that follow lock nothing that is not locked already.
    numbers = sorted(
        {
            line.account if isinstance(line.account, int) else line.account.pk
            for d in drafts
            for line in d.lines
        }
    )
    list(
        Account.objects.filter(pk__in=numbers).order_by("pk").select_for_update(no_key=True).values_list("pk")
    )
    posted = [answer for batch in _batches(drafts) for answer in journal.post_many(batch, by=by)]
    BankLine.objects.bulk_create(
        [_row(statement, uuid, one, answer, at) for (uuid, one, _), answer in zip(kept, posted, strict=True)],
        batch_size=BATCH,
    )
    completed = [
        (receipt, answer) for (_, _, receipt), answer in zip(kept, posted, strict=True) if receipt is not None
    ]
    if completed:
        deposits.record_completed(
            [one for one, _ in completed], [answer for _, answer in completed], by=by, at=at
        )


def _draft(
    statement: BankStatement, uuid: UUID, one: Outcome, receipt: deposits.Receipt | None, bank: Account,
    between: dict[str, Account], at: datetime,
) -> journal.Draft:  # fmt: skip
    if receipt is not None:
        return deposits.draft_of(receipt, at=at)
    line, other = one.line, between[one.line.direction]
    sides = (bank, other) if line.direction == "in" else (other, bank)
    return journal.Draft(
        kind="bank_in" if line.direction == "in" else "bank_out",
        lines=[journal.debit(sides[0], line.amount), journal.credit(sides[1], line.amount)],
        at=at, key=f"bank_line:{statement.bank_account.uuid}:{one.fingerprint}", reference=cut(line.bank_id, 120),
        narration=f"On {statement}, line {line.place}", subject=("bank_line", uuid),
    )  # fmt: skip


_STATES: Final = {
    "matched": BankLine.State.MATCHED, "suspense": BankLine.State.SUSPENSE,
    "out": BankLine.State.UNMATCHED_OUT, "payment": BankLine.State.UNMATCHED_OUT,
}  # fmt: skip


def _row(
    statement: BankStatement, uuid: UUID, one: Outcome, answer: journal.Posted, at: datetime
) -> BankLine:
    line = one.line
    state = BankLine.State.SUSPENSE if line.direction == "in" and one.kind == "payment" else _STATES[one.kind]
    return BankLine(
        uuid=uuid, statement=statement, bank_account=statement.bank_account, place=line.place,
        fingerprint=one.fingerprint, direction=line.direction, amount=line.amount, booked_on=line.booked_on,
        value_on=line.value_on, is_reversal=line.is_reversal, text=line.text, counterparty=line.counterparty,
        counterparty_iban=line.counterparty_iban, end_to_end_id=line.end_to_end_id, bank_id=line.bank_id, state=state,
        reason=one.reason[:200], deposit=one.deposit, entry_id=answer.entry_id,  # type: ignore[misc]  # it was posted
        imported_at=at, changed_at=at,
    )  # fmt: skip


def _batches(drafts: list[journal.Draft]) -> Iterator[list[journal.Draft]]:
    waiting = iter(drafts)
    while batch := list(islice(waiting, BATCH)):
        yield batch


def _locked(statement: BankStatement, *, with_file: bool = True) -> BankStatement:
    kept = BankStatement.objects.all() if with_file else BankStatement.objects.without_file()
    rows = kept.select_for_update(of=("self",), no_key=True)
    return rows.select_related("bank_account__currency").get(pk=statement.pk)


def _decide(
    statement: BankStatement, state: str, event: str, *, by: By, at: datetime, reason: str = ""
) -> BankStatement:
    with transaction.atomic():
        row = _locked(statement, with_file=False)
        if row.state == state:
            return row
        check_may_move(row, state)
        row.state = state
        if state == State.UPLOADED:
            row.uploaded_at, row.uploaded_by = at, by.name
        row.save(update_fields=["state", "uploaded_at", "uploaded_by"])
        _record(event, row, by=by, at=at, reason=reason)
    return row


def _record(
    name: str,
    row: BankStatement,
    *,
    by: By,
    at: datetime,
    reason: str = "",
    counts: Counter[str] | None = None,
) -> None:
    events.record(
        name, subject_type=SUBJECT, subject_id=row.uuid, by=by, at=at, reason=reason,
        payload={"state": row.state, "lines": row.lines_read, "currency": row.bank_account.currency_id, **(counts or {})},
    )  # fmt: skip
