"""Which deposit a bank line is for: pure scoring, told in words. Neither the database nor the clock."""

import difflib
import unicodedata
from collections.abc import Iterable
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


class Known:
    """The deposits that the lines of a file may be for, found by what lines say of them."""

    def __init__(self, deposits: Iterable[Wanted]) -> None:
        self.by_reference: dict[str, Wanted] = {}
        self.by_name: dict[tuple[Decimal, tuple[str, ...]], list[Wanted]] = {}
        for one in deposits:
            self.by_reference[one.reference] = one
            if one.is_open:
                self.by_name.setdefault((one.amount, words_of(one.client_name)), []).append(one)


def decide(line: Line, known: Known, rule: Rule) -> Verdict:
    """What becomes of money that came: credited to a deposit for certain, else nobody's yet.

    By a reference, whatever its name; without one by amount and name, to the word, if the rule lets it.
    """
    if line.is_reversal:
        return Verdict(None, "It takes back a payment of ours")
    named = references_of(line)
    found = [known.by_reference[one] for one in named if one in known.by_reference]
    if len(found) > 1:
        return Verdict(None, "It names several deposits")
    if found:
        return _by_reference(line, found[0], rule)
    if named:
        return Verdict(None, f"No deposit has the reference {named[0]}")
    words = words_of(line.counterparty)
    fitting = known.by_name.get((line.amount, words), []) if words and rule.matches_by_name else []
    if len(fitting) == 1:
        return Verdict(fitting[0].id, "Credited by amount and name")
    return Verdict(None, "Amount and name fit several deposits" if fitting else "It names no deposit")


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
    ours, theirs = words_of(one), words_of(other)
    if not ours or not theirs:
        return 0.0
    if ours == theirs:
        return 1.0
    short, long = sorted((set(ours), set(theirs)), key=len)
    if len(short) >= 2 and short <= long:
        return 0.95
    return min(0.99, difflib.SequenceMatcher(None, " ".join(ours), " ".join(theirs), autojunk=False).ratio())


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in the order of the alphabet, without case, accents and titles: equal for one person's name."""
    plain = "".join(
        sign for sign in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(sign)
    )
    words = "".join(sign if sign.isalnum() else " " for sign in plain).split()
    return tuple(sorted(word for word in words if word not in _TITLES))
