"""Which deposit a bank line is for: pure scoring, told in words. Neither the database nor the clock."""

import difflib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from ledger import references
from ledger.bank.lines import Line

# From here on a name is taken for another writing of the same.
ALIKE: Final = 0.78
_TITLES: Final = frozenset({"mr", "mrs", "ms", "dr", "prof", "herr", "frau", "mme", "sr", "sra"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What of `MatchingRule` matters here."""

    tolerance: Decimal = Decimal(0)
    tolerance_rate: Decimal = Decimal("0.02")
    late_days: int = 90
    others_may_pay: bool = True
    matches_by_name: bool = False

    def tolerates(self, asked: Decimal, came: Decimal) -> bool:
        return abs(came - asked) <= max(self.tolerance, asked * self.tolerance_rate)


USUAL: Final = Rule()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A deposit as matching sees it. `ended_on` is when it was cancelled or ran out."""

    id: int
    reference: str
    amount: Decimal
    state: str
    client_name: str
    ended_on: date | None = None

    @property
    def is_open(self) -> bool:
        return self.state in ("pending", "processing")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The deposit a line is for, or none; and why, as half a sentence."""

    deposit: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A deposit that a line may be for; what speaks for it and against it, in words. More is likelier."""

    deposit: int
    score: int
    words: str


def references_of(line: Line) -> list[str]:
    """The references that a line names, in its text or as its end-to-end id."""
    return references.found_in(f"{line.text} | {line.end_to_end_id}")


def decide(
    line: Line,
    *,
    by_reference: Mapping[str, Wanted],
    same_amount: Iterable[Wanted],
    rule: Rule,
) -> Verdict:
    """What becomes of money that came: credited to a deposit for certain, else nobody's yet.

    `by_reference` are the deposits whose references the line may name, `same_amount` the open ones of its amount.
    """
    if line.is_reversal:
        return Verdict(None, "It takes back a payment of ours")
    named = references_of(line)
    known = [by_reference[one] for one in named if one in by_reference]
    if len(known) > 1:
        return Verdict(None, "It names several deposits")
    if known:
        return _by_reference(line, known[0], rule)
    if named:
        return Verdict(None, f"No deposit has the reference {named[0]}")
    return _by_name(line, [one for one in same_amount if one.amount == line.amount], rule)


def _by_reference(line: Line, wanted: Wanted, rule: Rule) -> Verdict:
    if wanted.state in ("completed", "failed"):
        return Verdict(None, f"The deposit {wanted.reference} is {wanted.state} already")
    if not wanted.is_open:
        last = wanted.ended_on and wanted.ended_on + timedelta(days=rule.late_days)
        if last is None or line.booked_on > last:
            return Verdict(
                None, f"The deposit {wanted.reference} ended more than {rule.late_days} days before"
            )
    if not rule.tolerates(wanted.amount, line.amount):
        return Verdict(None, f"Its amount is too far from what was asked under {wanted.reference}")
    if (
        not rule.others_may_pay
        and line.counterparty
        and likeness(line.counterparty, wanted.client_name) < ALIKE
    ):
        return Verdict(None, f"Somebody else paid under {wanted.reference}")
    return Verdict(wanted.id, f"Credited by its reference {wanted.reference}")


def _by_name(line: Line, wanted: list[Wanted], rule: Rule) -> Verdict:
    fitting = [one for one in wanted if one.is_open and likeness(line.counterparty, one.client_name) >= ALIKE]
    if not fitting:
        return Verdict(None, "It names no deposit")
    if len(fitting) > 1:
        return Verdict(None, "Amount and name fit several deposits")
    if not rule.matches_by_name:
        return Verdict(None, "Amount and name fit one deposit, without a reference")
    return Verdict(fitting[0].id, "Credited by amount and name")


def candidates(line: Line, deposits: Iterable[Wanted], rule: Rule) -> list[Candidate]:
    """The deposits a line may be for, the likeliest first; those for which nothing speaks are left out."""
    named = set(references_of(line))
    found = [one for one in (_candidate(line, wanted, named, rule) for wanted in deposits) if one is not None]
    return sorted(found, key=lambda one: (-one.score, one.deposit))


def _candidate(line: Line, wanted: Wanted, named: set[str], rule: Rule) -> Candidate | None:
    says, score = [], 0
    if wanted.reference in named:
        says.append("its reference")
        score += 100
    if line.amount == wanted.amount:
        says.append("the amount")
        score += 40
    elif rule.tolerates(wanted.amount, line.amount):
        says.append("nearly the amount")
        score += 20
    alike = likeness(line.counterparty, wanted.client_name)
    if alike == 1:
        says.append("the name")
        score += 40
    elif alike >= ALIKE:
        says.append("a name like it")
        score += 25
    if score < 40:
        return None
    words = " and ".join(filter(None, [", ".join(says[:-1]), says[-1]]))
    return Candidate(wanted.id, score, words[:1].upper() + words[1:] + (" fit" if len(says) > 1 else " fits"))


def likeness(one: str, other: str) -> float:
    """How much two names are alike, from 0 to 1: whatever their order, case, accents and titles. 1 is the same words."""
    ours, theirs = _words(one), _words(other)
    if not ours or not theirs:
        return 0.0
    if ours == theirs:
        return 1.0
    short, long = sorted((set(ours), set(theirs)), key=len)
    if len(short) >= 2 and short <= long:
        return 0.95
    return min(0.99, difflib.SequenceMatcher(None, " ".join(ours), " ".join(theirs), autojunk=False).ratio())


def _words(name: str) -> list[str]:
    plain = "".join(
        sign for sign in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(sign)
    )
    words = "".join(sign if sign.isalnum() else " " for sign in plain).split()
    return sorted(word for word in words if word not in _TITLES)
