"""Decisions: whether a client may do what they ask to do with money, by their limits and by the monitoring rules.

A block is an answer, not a refusal: the activity and its decision are stored, whatever the outcome. Who asks looks at
`Decision.outcome`, and calls `release` when the thing comes to nothing, so that it takes no room any more.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from backoffice import events
from backoffice.errors import DomainError, InvalidInput
from backoffice.money import InvalidAmount
from backoffice.registry import Port
from backoffice.who import By
from compliance import limits
from compliance.conditions import Case, Facts, came_true
from compliance.models import Activity, Client, Decision, MonitoringRule, Movement, Outcome

__all__ = [
    "Asked",
    "AskedOtherwise",
    "Facts",
    "Released",
    "client_changed",
    "decide",
    "decide_again",
    "decide_new",
    "rechecks",
    "release",
]

LIMIT_CODE: Final = "OVER_LIMIT"
WE_LOOK: Final = "We are looking at this request."
NOT_POSSIBLE: Final = "This is not possible at the moment."


class AskedOtherwise(DomainError):
    """The same thing was decided about before as another one: of another client, kind, currency or amount."""

    code = "ASKED_OTHERWISE"


class Released(DomainError):
    """The activity came to nothing; there is nothing to decide about."""

    code = "RELEASED"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks to do: `kind` is a `Movement`, `subject` the type and public id of the thing itself."""

    kind: str
    client: Client
    currency: str
    amount: Decimal
    subject: tuple[str, uuid.UUID]
    facts: Facts = field(default_factory=Facts)


# Given a client whose KYC level or standing changed: ask again about what it may unblock. In the one transaction.
rechecks: Port[Callable[[Client, By, datetime], None]] = Port("what is asked again when a client changes")


def decide(asked: Asked, *, by: By, at: datetime) -> Decision:
    """Decide, and store what was asked and every reason. The worst of what came true counts; nothing: it is allowed.

    Locks the client's row until the end of the caller's transaction, so that of two requests the second sees what the
    first took; call it before other rows are locked. What is allowed or to be looked at takes room of the limits from
    now on; what is blocked takes none. The same subject again gets its latest decision.

    :raises InvalidInput: if there is no such kind of movement. :raises InvalidAmount: if the amount is not above zero.
    :raises AskedOtherwise: if the same subject was asked about as something else.
    """
    _check(asked)
    with transaction.atomic():
        client = _locked(asked.client.pk)
        subject_type, subject_id = asked.subject
        known = Activity.objects.filter(subject_type=subject_type, subject_id=subject_id).first()
        if known is not None:
            _check_same(known, asked)
            return known.decisions.select_related("activity").latest("id")
        return decide_new(replace(asked, client=client), by=by, at=at)


def decide_new(asked: Asked, *, by: By, at: datetime) -> Decision:
    """As `decide`, about what the caller has only just made, for callers who hold the client's lock.

    `asked.client` is the row they locked, and nobody was asked about the subject before: neither is looked at again.

    :raises InvalidInput, InvalidAmount: as `decide`.
    """
    _check(asked)
    activity = Activity(
        kind=asked.kind, client=asked.client, currency_id=asked.currency, amount=asked.amount,
        subject_type=asked.subject[0], subject_id=asked.subject[1], at=at,
    )  # fmt: skip
    case = Case(activity, asked.client, asked.facts, at)
    outcome, reasons = _judged(case)
    activity.counts = outcome != Outcome.BLOCK
    activity.save(force_insert=True)
    return _keep(case, outcome, reasons, by=by)


def note_many(came: Sequence[Asked], *, at: datetime) -> None:
    """Money that came, about which there is nothing to decide: it takes room of the limits and counts as turnover.

    One question for any number. What is known already, by its subject, changes nothing.
    """
    Activity.objects.bulk_create(
        [
            Activity(
                kind=one.kind, client=one.client, currency_id=one.currency, amount=one.amount, subject_type=one.subject[0],
                subject_id=one.subject[1], at=at, counts=True,
            )
            for one in came
        ],
        ignore_conflicts=True,
    )  # fmt: skip


def decide_again(activity: Activity, facts: Facts, *, by: By, at: datetime) -> Decision:
    """Decide anew about what was asked before, by today's client, limits and rules. Locks the client's row.

    A decision that says the same as the latest is not stored twice.

    :raises Released: if it has come to nothing meanwhile.
    """
    with transaction.atomic():
        client = _locked(activity.client_id)
        row = Activity.objects.select_for_update(no_key=True).get(pk=activity.pk)
        if row.released_at is not None:
            raise Released("This came to nothing; there is nothing to decide about.")
        case = Case(row, client, facts, at)
        outcome, reasons = _judged(case)
        row.counts = outcome != Outcome.BLOCK
        row.save(update_fields=["counts"])
        latest = row.decisions.order_by("-id").first()
        if latest is not None and (latest.outcome, latest.reasons) == (outcome, reasons):
            return latest
        return _keep(case, outcome, reasons, by=by)


def release(subject: tuple[str, uuid.UUID], *, by: By, at: datetime) -> Activity | None:
    """Let what came to nothing (cancelled, refused, failed, returned) take no room of the limits any more, for good.

    Locks the activity. A second call changes nothing. None: nobody ever decided about it.
    """
    with transaction.atomic():
        rows = Activity.objects.filter(subject_type=subject[0], subject_id=subject[1])
        row = rows.select_for_update(of=("self",), no_key=True).select_related("client").first()
        if row is None or row.released_at is not None:
            return row
        row.counts, row.released_at = False, at
        row.save(update_fields=["counts", "released_at"])
        _record("activity.released", row, by=by, at=at)
    return row


def client_changed(client: Client, *, by: By, at: datetime) -> None:
    """Have everything asked again that a change of this client's KYC level or standing may unblock.

    Call it in the transaction that makes the change. Locks the client's row, then what each registered app locks.
    """
    with transaction.atomic():
        row = _locked(client.pk)
        for ask_again in rechecks:
            ask_again(row, by, at)


def _judged(case: Case) -> tuple[Outcome, list[dict[str, str]]]:
    """The worst of what came true, and every reason."""
    reasons = [*_by_limits(case), *_by_rules(case)]
    outcomes = (Outcome(each["outcome"]) for each in reasons)
    return max(outcomes, key=Decision.SEVERITY.index, default=Outcome.ALLOW), reasons


def _keep(case: Case, outcome: Outcome, reasons: list[dict[str, str]], *, by: By) -> Decision:
    row = Decision.objects.create(
        activity=case.activity, outcome=outcome, reasons=reasons, at=case.at, by=by.name
    )
    _record("activity.decided", case.activity, by=by, at=case.at, outcome=str(outcome), codes=row.codes)
    return row


def _by_limits(case: Case) -> list[dict[str, str]]:
    activity = case.activity
    rooms = limits.of(case.client, activity.kind, activity.currency_id, at=case.at, moved=case.moved)
    return [
        _reason(LIMIT_CODE, Outcome.BLOCK, f"Over the limit: {limits.sentence(room)}", f"Your limit: {limits.sentence(room)}")
        for room in rooms
        if not room.fits(activity.amount)
    ]  # fmt: skip


def _by_rules(case: Case) -> list[dict[str, str]]:
    found = []
    for rule in MonitoringRule.objects.filter(is_active=True).order_by("id"):
        if message := came_true(rule, case):
            told = rule.told or (WE_LOOK if rule.outcome == Outcome.REVIEW else NOT_POSSIBLE)
            found.append(_reason(rule.code, Outcome(rule.outcome), f"{rule.name}: {message}", told))
    return found


def _reason(code: str, outcome: Outcome, message: str, told: str) -> dict[str, str]:
    return {"code": code, "outcome": str(outcome), "message": message, "told": told}


def _locked(client_id: int) -> Client:
    return Client.objects.select_for_update(of=("self",), no_key=True).get(pk=client_id)


def _check(asked: Asked) -> None:
    if asked.kind not in Movement.values:
        raise InvalidInput("There is no such movement of money.", field="kind")
    if not asked.amount.is_finite() or asked.amount <= 0:
        raise InvalidAmount("An amount is above zero.", field="amount")


def _check_same(known: Activity, asked: Asked) -> None:
    same = (known.kind, known.client_id, known.currency_id, known.amount)
    if same != (asked.kind, asked.client.pk, asked.currency, asked.amount):
        raise AskedOtherwise("This was decided about before, with another client, amount or currency.")


def _record(name: str, row: Activity, *, by: By, at: datetime, **payload: Any) -> None:
    events.record(
        name, subject_type="activity", subject_id=row.uuid, client_id=row.client.uuid, by=by, at=at,
        payload={"movement": row.kind, "currency": row.currency_id, "amount": row.amount,
                 "about": row.subject_id, **payload},
    )  # fmt: skip
