"""Bank statements as XML: camt.053.001.02 to .08, told apart by their namespace.

Read entry by entry, each forgotten when it is a line, so memory stays small whatever the file. No document type, no
entities, no other namespaces. A batch booking becomes a line for each payment in it if their amounts make its own.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from backoffice.errors import InvalidInput
from backoffice.money import parse_amount
from ledger.bank.lines import (
    MOST_LINES,
    BalancesDiffer,
    Expected,
    FileBroken,
    FileForbidden,
    FileTooLarge,
    FileUnknown,
    Line,
    OtherAccount,
    Read,
    RowError,
    cut,
)

FORMAT: Final = "camt.053"
_KNOWN: Final = re.compile(r"\{(urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.0[2-8])\}Document")
_DEEPEST: Final = 40
# A batch of a few thousand payments in one entry; more is not kept in memory at once.
_LARGEST_ENTRY: Final = 500_000
_NUMBER: Final = re.compile(r"[0-9]{1,19}(\.[0-9]*)?")
_DAY: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:T[0-9:.]+)?(?:Z|[+-]\d\d:\d\d)?")
_NO_ID: Final = frozenset({"NOTPROVIDED", "NONREF", "NOT PROVIDED"})


@dataclass(slots=True)
class _Statement:
    """One `Stmt` while it is read."""

    is_ours: bool = False
    number: str = ""
    starts_on: date | None = None
    ends_on: date | None = None
    opening: Decimal | None = None
    closing: Decimal | None = None
    total: Decimal = Decimal(0)
    lines: list[Line] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    skipped: int = 0
    accounts: list[str] = field(default_factory=list)


def read(content: bytes, expected: Expected) -> Read:
    """All booked entries of our account in the file. Statements of other accounts beside ours are left out, and counted.

    :raises FileForbidden: if it has a document type or entities. :raises FileBroken: if it cannot be read to its end.
    :raises FileUnknown: if it is no camt.053 of a version we know.
    :raises OtherAccount: if no statement in it is of our account, or an entry is in another currency.
    :raises BalancesDiffer: if opening balance and entries do not make the closing balance.
    :raises FileTooLarge: if it has more lines than we take in at once.
    """
    try:
        found = list(_statements(content, expected))
    except DefusedXmlException:
        raise FileForbidden("The file has a document type or entities; no bank's statement has.") from None
    except (ParseError, UnicodeError, LookupError) as wrong:
        raise FileBroken(f"The file cannot be read to its end: {str(wrong)[:100]}.") from None
    if not found:
        raise FileUnknown("There is no statement in the file.")
    ours = [one for one in found if one.is_ours]
    if not ours:
        numbers = ", ".join(number for one in found for number in one.accounts)[:100]
        raise OtherAccount(f"The statement is not of this account but of {numbers or 'none that it names'}.")
    _check_chain(ours, expected)
    return Read(
        format=FORMAT,
        number=cut(", ".join(one.number for one in ours if one.number), 100),
        starts_on=min((one.starts_on for one in ours if one.starts_on), default=None),
        ends_on=max((one.ends_on for one in ours if one.ends_on), default=None),
        opening=ours[0].opening,
        closing=ours[-1].closing,
        lines=tuple(line for one in ours for line in one.lines),
        errors=tuple(error for one in ours for error in one.errors),
        skipped=sum(one.skipped for one in ours) + len(found) - len(ours),
    )


def _statements(content: bytes, expected: Expected) -> Iterator[_Statement]:
    """Walks the file; yields each statement when it ends. Element names lose the namespace on the way."""
    path: list[Element] = []
    space, now, place, size = "", _Statement(), 0, 0
    for event, element in iterparse(io.BytesIO(content), events=("start", "end"), forbid_dtd=True):
        if event == "start":
            if not path:
                known = _KNOWN.fullmatch(element.tag)
                if known is None:
                    raise FileUnknown("This is no camt.053 statement of version 001.02 to 001.08.")
                space = f"{{{known[1]}}}"
            path.append(element)
            size += 1
            if len(path) > _DEEPEST or size > _LARGEST_ENTRY:
                raise FileBroken("The file is nested deeper, or has a larger entry, than any statement.")
            continue
        path.pop()
        element.tag = element.tag.removeprefix(space)
        if len(path) == 2 and element.tag == "Stmt":
            yield now
            now = _Statement()
        elif len(path) == 3 and path[-1].tag == f"{space}Stmt":
            if element.tag == "Ntry":
                place += 1
                _take_entry(now, element, place, expected)
            else:
                _take_part(now, element, expected)
        if len(path) in (2, 3):
            path[-1].clear()  # what was read is forgotten
            size = 0


def _take_part(now: _Statement, element: Element, expected: Expected) -> None:
    """What a statement says beside its entries: its number, account, period and balances."""
    try:
        _take_head(now, element, expected)
    except OtherAccount:
        raise
    except InvalidInput as wrong:
        raise FileBroken(f"The statement's head cannot be read: {wrong.message}") from None


def _take_head(now: _Statement, element: Element, expected: Expected) -> None:
    if element.tag == "Id":
        now.number = (element.text or "").strip()
    elif element.tag == "Acct":
        number = _text(element, "Id/IBAN") or _text(element, "Id/Othr/Id")
        currency = _text(element, "Ccy")
        now.accounts.append(f"{number} {currency}".strip())
        now.is_ours = expected.is_ours(number) and currency in ("", expected.currency)
    elif element.tag == "FrToDt":
        now.starts_on, now.ends_on = _day(element, "FrDtTm", "FrDt"), _day(element, "ToDtTm", "ToDt")
    elif element.tag == "Bal" and now.is_ours:
        kind = _text(element, "Tp/CdOrPrtry/Cd")
        if kind not in ("OPBD", "PRCD", "CLBD"):
            return
        amount = _amount(element.find("Amt"), expected)
        signed = -amount if _text(element, "CdtDbtInd") == "DBIT" else amount
        on = _day(element, "Dt/Dt", "Dt/DtTm")
        if kind == "CLBD":
            now.closing, now.ends_on = signed, now.ends_on or on
        elif now.opening is None or kind == "OPBD":
            now.opening, now.starts_on = signed, now.starts_on or (on if kind == "OPBD" else None)


def _take_entry(now: _Statement, entry: Element, place: int, expected: Expected) -> None:
    if not now.is_ours:
        return
    if (_text(entry, "Sts/Cd") or _text(entry, "Sts")) not in ("BOOK", ""):
        now.skipped += 1  # announced or for information; it comes again when it is booked
        return
    try:
        if not _amount(entry.find("Amt"), expected):
            now.skipped += 1  # some banks send entries of zero, to say something
            return
        lines = _lines(entry, place, expected)
    except OtherAccount:
        raise
    except InvalidInput as wrong:
        now.errors.append(RowError(place, wrong.message))
        return
    now.total += sum((line.signed for line in lines), Decimal(0))
    now.lines += lines
    if len(now.lines) > MOST_LINES:
        raise FileTooLarge(f"The file has more than {MOST_LINES:,} lines. Split it by days.")


def _lines(entry: Element, place: int, expected: Expected) -> list[Line]:
    """One entry as lines: one, or one for each payment of a batch.

    :raises InvalidInput: if it lacks what a line needs. :raises OtherAccount: if it is in another currency.
    """
    amount = _amount(entry.find("Amt"), expected)
    direction = {"CRDT": "in", "DBIT": "out"}.get(_text(entry, "CdtDbtInd"))
    if direction is None:
        raise InvalidInput("It is neither credit nor debit.")
    booked_on = _day(entry, "BookgDt/Dt", "BookgDt/DtTm") or _day(entry, "ValDt/Dt", "ValDt/DtTm")
    if booked_on is None:
        raise InvalidInput("It has no booking date.")
    is_reversal = _text(entry, "RvslInd") in ("true", "1")
    value_on = _day(entry, "ValDt/Dt", "ValDt/DtTm")

    def line(part: Element | None, value: Decimal, which: str) -> Line:
        return Line(
            place=place, direction=which, amount=value, booked_on=booked_on, value_on=value_on, is_reversal=is_reversal,
            **_said(entry, part, paid_us=(which == "in") != is_reversal),
        )  # fmt: skip

    parts = entry.findall("NtryDtls/TxDtls")
    if len(parts) > 1 and (split := _split(parts, amount, direction, expected)):
        return [line(part, value, which) for part, value, which in split]
    if len(parts) > 1:  # a batch the bank does not itemize: one line that says what all of it says
        whole = [line(part, amount, direction) for part in parts]
        texts = cut(" ".join(dict.fromkeys(one.text for one in whole)), 500)
        return [Line(place=place, direction=direction, amount=amount, booked_on=booked_on, value_on=value_on,
                     is_reversal=is_reversal, text=texts, bank_id=_bank_id(entry))]  # fmt: skip
    return [line(parts[0] if parts else None, amount, direction)]


def _split(
    parts: list[Element], amount: Decimal, direction: str, expected: Expected
) -> list[tuple[Element, Decimal, str]]:
    """The payments of a batch with their amounts and directions; nothing if those do not make the batch's amount."""
    found = []
    for part in parts:
        given = next((one for one in (part.find(path) for path in _AMOUNTS) if one is not None), None)
        if given is None or given.get("Ccy", expected.currency) != expected.currency:
            return []
        which = {"CRDT": "in", "DBIT": "out"}.get(_text(part, "CdtDbtInd"), direction)
        value = _amount(given, expected)
        if not value:
            return []
        found.append((part, value, which))
    total = sum((value if which == direction else -value for _, value, which in found), Decimal(0))
    return found if total == amount else []


_AMOUNTS: Final = ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt")


def _said(entry: Element, part: Element | None, *, paid_us: bool) -> dict[str, str]:
    """Texts of a payment: who, under which references, with which words."""
    if part is None:
        return {"text": cut(_text(entry, "AddtlNtryInf"), 500), "bank_id": _bank_id(entry)}
    texts = [one.text or "" for one in part.findall("RmtInf/Ustrd")]
    for path in ("RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Strd/RfrdDocInf/Nb", "RmtInf/Strd/AddtlRmtInf"):
        texts += [one.text or "" for one in part.findall(path)]
    if reason := _text(part, "RtrInf/Rsn/Cd") or _text(part, "RtrInf/Rsn/Prtry"):
        texts.append(f"Returned: {reason}")
    texts = texts or [_text(part, "AddtlTxInf") or _text(entry, "AddtlNtryInf")]
    who = "Dbtr" if paid_us else "Cdtr"
    side = f"RltdPties/{who}"
    end_to_end_id = _text(part, "Refs/EndToEndId")
    return {
        "text": cut(" ".join(texts), 500),
        "counterparty": cut(_text(part, f"{side}/Nm") or _text(part, f"{side}/Pty/Nm"), 140),
        "counterparty_iban": cut(_text(part, f"{side}Acct/Id/IBAN") or _text(part, f"{side}Acct/Id/Othr/Id"), 34),
        "end_to_end_id": "" if end_to_end_id.upper() in _NO_ID else cut(end_to_end_id, 35),
        "bank_id": cut(_text(part, "Refs/AcctSvcrRef"), 64) or _bank_id(entry),
    }  # fmt: skip


def _bank_id(entry: Element) -> str:
    found = cut(_text(entry, "AcctSvcrRef"), 64)
    return "" if found.upper() in _NO_ID else found


def _check_chain(ours: list[_Statement], expected: Expected) -> None:
    """Each statement's lines lead from its opening to its closing balance, as far as it says them and all can be read."""
    for one in ours:
        if one.opening is None or one.closing is None or one.errors:
            continue
        made = one.opening + one.total
        if made != one.closing:
            digits = expected.exponent
            raise BalancesDiffer(
                f"The statement opens with {one.opening:,.{digits}f}, its lines make {made:,.{digits}f}, and it closes "
                f"with {one.closing:,.{digits}f}."
            )


def _amount(element: Element | None, expected: Expected) -> Decimal:
    """:raises InvalidInput: if there is no amount. :raises OtherAccount: if it is in another currency."""
    if element is None:
        raise InvalidInput("It has no amount.")
    currency = element.get("Ccy", expected.currency)
    if currency != expected.currency:
        raise OtherAccount(f"The statement is in {currency[:12]}; this account is in {expected.currency}.")
    if not _NUMBER.fullmatch(text := (element.text or "").strip()):
        raise InvalidInput(f"“{text[:30]}” is no amount.")
    return parse_amount(text, exponent=expected.exponent)


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _day(element: Element, *paths: str) -> date | None:
    """A date, or the date of an instant in the bank's own time.

    :raises InvalidInput: if something else stands there.
    """
    for path in paths:
        if text := _text(element, path):
            found = _DAY.fullmatch(text)
            try:
                return date.fromisoformat(found[1] if found else text)
            except ValueError:
                raise InvalidInput(f"“{text[:30]}” is no date.") from None
    return None
