"""Differences between our books and the venue's: listed once, decided once, by one person, with a reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import transaction

from backoffice import events, keys
from backoffice.errors import DomainError
from backoffice.who import By, called
from brokerage.models import Difference, Trade, TradingAccount, VenueLine


class AlreadyResolved(DomainError):
    """Somebody decided this difference before; their decision stands."""

    code = "ALREADY_RESOLVED"


class NotAChoice(DomainError):
    """This decision does not exist for this kind of difference."""

    code = "NOT_A_CHOICE"
    field = "resolution"


def find(
    *,
    account: TradingAccount,
    kind: Difference.Kind,
    about: object,
    sentence: str,
    by: By,
    at: datetime,
    trade: Trade | None = None,
    line: VenueLine | None = None,
    facts: dict[str, Any] | None = None,
) -> Difference:
    """List a difference for a person to decide. While it is open, finding the same again changes only its facts.

    Two at once list it once: the database says so.
    """
    with transaction.atomic():
        new = Difference(
            account=account,
            trade=trade,
            line=line,
            kind=kind,
            about=str(about),
            sentence=sentence[:300],
            facts=facts or {},
            found_at=at,
        )
        Difference.objects.bulk_create([new], ignore_conflicts=True)
        row = Difference.objects.open().get(account=account, kind=kind, about=str(about))
        if row.uuid == new.uuid:
            _record("difference.found", row, by=by, at=at)
        elif (row.sentence, row.facts) != (new.sentence, new.facts):
            Difference.objects.filter(pk=row.pk).update(sentence=new.sentence, facts=new.facts)
            row.sentence, row.facts = new.sentence, new.facts
    return row


@contextmanager
def deciding(
    difference: Difference, resolution: str, *, by: By, at: datetime, key: str, reason: str
) -> Iterator[Difference]:
    """Around whatever a decision does: locks the difference, and resolves it when the work inside has been done.

    The trade, where there is one, is locked first, as everywhere.

    :raises AlreadyResolved: if somebody decided it before, whatever they decided.
    :raises NotAChoice: if this kind of difference is not decided like this.
    :raises KeyReused: if the key was used on another difference.
    """
    with transaction.atomic():
        if difference.trade_id is not None:
            Trade.objects.select_for_update(no_key=True).get(pk=difference.trade_id)
        row = (
            Difference.objects.select_for_update(of=("self",), no_key=True)
            .select_related("account__client", "account__currency", "account__cash", "account__stakes")
            .select_related("trade", "line")
            .get(pk=difference.pk)
        )
        keys.claim(by=by, verb="difference.resolve", key=key, content=f"{row.uuid}|{resolution}", at=at)
        check_may_decide(row, resolution)
        yield row
        _resolve(row, resolution, by=by, at=at, reason=reason)


def check_may_decide(difference: Difference, resolution: str = "") -> None:
    """:raises AlreadyResolved, NotAChoice: if it was decided before, or is not decided like this."""
    if difference.state != Difference.State.OPEN:
        who = called(difference.resolved_by)
        raise AlreadyResolved(
            f"{who} decided this at {difference.resolved_at:%H:%M:%S} UTC: "
            f"{difference.get_resolution_display().lower()}. Nothing was changed now."
        )
    if resolution and resolution not in Difference.CHOICES[Difference.Kind(difference.kind)]:
        raise NotAChoice(f"“{difference.get_kind_display()}” is not decided like this.")


def explain(difference: Difference, *, by: By, at: datetime, key: str, reason: str) -> Difference:
    """Close it with the explanation of a person; nothing is posted.

    :raises AlreadyResolved: if it was decided before.
    :raises NotAChoice: if its kind wants another decision.
    """
    with deciding(difference, Difference.Resolution.EXPLAINED, by=by, at=at, key=key, reason=reason) as row:
        return row


def went_away(rows: Any, *, by: By, at: datetime) -> int:
    """What is no longer so needs nobody: close these open differences. Returns how many."""
    closed = 0
    for found in rows.open():
        with transaction.atomic():
            row = Difference.objects.select_for_update(no_key=True).get(pk=found.pk)
            if row.state == Difference.State.OPEN:
                _resolve(row, Difference.Resolution.WENT_AWAY, by=by, at=at, reason="")
                closed += 1
    return closed


def _resolve(row: Difference, resolution: str, *, by: By, at: datetime, reason: str) -> None:
    row.state, row.resolution = Difference.State.RESOLVED, resolution
    row.resolved_at, row.resolved_by = at, by.name
    row.save(update_fields=["state", "resolution", "resolved_at", "resolved_by"])
    _record("difference.resolved", row, by=by, at=at, reason=reason, resolution=resolution)


def _record(name: str, row: Difference, *, by: By, at: datetime, reason: str = "", **payload: str) -> None:
    events.record(
        name,
        subject_type="difference",
        subject_id=row.uuid,
        client_id=row.account.client.uuid,
        by=by,
        at=at,
        reason=reason,
        payload={
            "kind": row.kind,
            "account": row.account.uuid,
            "trade": row.trade.uuid if row.trade is not None else None,
            "transaction": row.line.transaction_id if row.line is not None else None,
            **payload,
        },
    )
