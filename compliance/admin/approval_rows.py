"""What the console shows of an approval: its votes, what to know of its subject, and what comes next, in words."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Count
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from backoffice.admin import show
from backoffice.admin.taking import in_hand
from compliance import approval_kinds
from compliance.models import Approval, Vote


def dress(rows: Iterable[Approval]) -> None:
    """Give each row what is shown of it: how many agreed, its subject, and what to know. A few questions for all."""
    rows = list(rows)
    votes = (
        Vote.objects.filter(approval__in=rows, verdict=Vote.Verdict.APPROVE)
        .order_by()
        .values_list("approval")
    )
    counted = Counter(dict(votes.annotate(many=Count("pk")))) if rows else Counter()
    of_kind: defaultdict[str, list[Approval]] = defaultdict(list)
    for row in rows:
        row.agreed_shown = counted[row.pk]  # type: ignore[attr-defined]
        row.subject_shown, row.chips_shown = None, []  # type: ignore[attr-defined]
        of_kind[row.kind].append(row)
    for name, those in of_kind.items():
        kind = approval_kinds.find(name)
        if kind is None:
            continue
        subjects = kind.subjects_of(row.subject_id for row in those)
        facts = kind.facts(list(subjects.values()))
        for row in those:
            subject: Any = subjects.get(row.subject_id)
            row.subject_shown = subject  # type: ignore[attr-defined]
            row.chips_shown = facts.get(subject, []) if subject is not None else []  # type: ignore[attr-defined]


def kind_label(row: Approval) -> str:
    """The kind as people read it; its name where no app registers it any more."""
    kind = approval_kinds.find(row.kind)
    return kind.label if kind is not None else row.kind


def money(row: Approval) -> SafeString:
    """Its amount, where it has one."""
    if row.currency is None:
        return show.NOTHING
    return show.money(row.amount, row.currency_id or "", row.currency.exponent)


def gist(row: Approval) -> str:
    """What it is, beside its client and amount: “Withdrawal to Ana Abara, DE…42”; of a dressed row."""
    kind, subject = approval_kinds.find(row.kind), row.subject_shown  # type: ignore[attr-defined]
    said = kind.gist(subject) if kind is not None and subject is not None else ""
    return f"{kind_label(row)} {said}" if said else row.title


def chips(row: Approval) -> SafeString:
    """What to know of it, in words; of a dressed row. Where there is no room for all, all of it is told at a hover."""
    words: list[str] = row.chips_shown  # type: ignore[attr-defined]
    if not words:
        return show.NOTHING
    return format_html(
        '<span class="c-chips" title="{}">{}</span>', " · ".join(words),
        format_html_join("", '<span class="c-chip">{}</span>', ((word,) for word in words)),
    )  # fmt: skip


def agreed(row: Approval) -> str:
    """“1 of 2”; of a dressed row."""
    return f"{row.agreed_shown} of {row.needed}" if row.needed else "Nobody needed"  # type: ignore[attr-defined]


def next_step(row: Approval, now: datetime) -> str:
    """One sentence: why it is where it is, and what happens next; of a dressed row."""
    if row.state != Approval.State.OPEN:
        return row.why
    more = row.needed - row.agreed_shown  # type: ignore[attr-defined]
    who = f"1 more{_of(row)} must agree" if more == 1 else f"{more} more{_of(row)} must agree"
    hand = f"{taken} " if (taken := in_hand(row)) else ""
    if row.expires_at <= now:
        return f"{hand}Its time is over; it ends within a minute."
    return f"{hand}{who}; it ends by itself {show.ago(row.expires_at, now)}."


def _of(row: Approval) -> str:
    return f" of the role {row.role}" if row.role is not None else ""
