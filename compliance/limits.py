"""Limits: how much a client may move by what we know of them, how much of it is used, and what single ones may."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import BigIntegerField, Q, Value

from backoffice import events, keys
from backoffice.errors import DomainError, InvalidInput
from backoffice.models import Currency
from backoffice.money import parse_amount
from backoffice.who import By
from compliance.conditions import number
from compliance.models import Client, Limit, LimitOverride, Movement, Window
from compliance.moved import Moved

LONGEST = timedelta(days=366)


class OverLimit(DomainError):
    """With this amount the client would move more than they may, at once or within a window."""

    code = "OVER_LIMIT"
    field = "amount"


class OverrideOver(DomainError):
    """The client's own limit has expired or was ended before."""

    code = "OVERRIDE_OVER"


@dataclass(frozen=True, slots=True)
class Room:
    """One limit of a client: what they may move, what of it is used, and what is left. Amounts are of `currency`.

    `override` is the primary key of their own limit, where it takes the place of their level's.
    """

    window: Window
    currency: str
    allowed: Decimal
    used: Decimal
    override: int | None = None

    @property
    def left(self) -> Decimal:
        """Never below zero, also where the limit was lowered after it was used."""
        return max(self.allowed - self.used, Decimal(0))

    def fits(self, amount: Decimal) -> bool:
        return self.used + amount <= self.allowed


def of(client: Client, kind: str, currency: str, *, at: datetime, moved: Moved | None = None) -> list[Room]:
    """The client's limits for a kind of movement in a currency, the shortest window first. Without rows: no limit.

    Windows roll back from `at`; what the client did later than that counts too. A client's own limit that is in force
    takes the place of their level's. `moved`, where the caller has it, is what counts; else it is asked for. Two questions.
    """
    return [room for _, room in _rooms(client, Q(kind=kind, currency=currency), at=at, moved=moved)]


def every(client: Client, *, at: datetime) -> list[tuple[str, Room]]:
    """All limits of a client, each with its kind of movement, in the order of kinds, currencies and windows.

    As `of`; two questions, however many there are.
    """
    return _rooms(client, Q(), at=at, moved=None)


def check(client: Client, kind: str, currency: str, amount: Decimal, *, at: datetime) -> None:
    """Whether an amount has room in every limit. What counts it must do so under the client's lock (`decisions.decide`).

    :raises OverLimit: if not.
    """
    for room in of(client, kind, currency, at=at):
        if not room.fits(amount):
            raise OverLimit(sentence(room))


def sentence(room: Room) -> str:
    """What a limit still allows, in words a client may read."""
    when = Window(room.window).label.lower()
    return f"{number(room.left)} of {number(room.allowed)} {room.currency} may still be moved {when}."


def override(
    client: Client,
    kind: str,
    currency: Currency,
    window: int,
    amount: str | Decimal,
    *,
    expires_at: datetime,
    by: By,
    at: datetime,
    key: str,
    reason: str,
) -> LimitOverride:
    """Allow one client more or less than their level, until it expires. Holds from the commit on; the latest set counts.

    The amount is of the currency and never rounded. Locks the client's row. The same key again changes nothing.

    :raises InvalidAmount: if the amount is not one of the currency.
    :raises InvalidInput: if it is below zero, ends in the past or in more than a year, or the reason is empty.
    :raises KeyReused: if the key was used for something else.
    """
    value = parse_amount(amount, exponent=currency.exponent)
    if value < 0:
        raise InvalidInput("A limit is zero or above.", field="amount")
    if not at < expires_at <= at + LONGEST:
        raise InvalidInput("It ends in the future, within a year.", field="expires_at")
    if kind not in Movement.values or window not in Window.values:
        raise InvalidInput("There is no such limit.", field="kind")
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    content = f"{client.uuid}|{kind}|{currency.pk}|{window}|{value:f}|{expires_at.isoformat()}"
    with transaction.atomic():
        Client.objects.select_for_update(no_key=True).get(pk=client.pk)
        is_known = keys.is_claimed(by=by, verb="limit.override", key=key)
        keys.claim(by=by, verb="limit.override", key=key, content=content, at=at)
        if is_known:
            same = LimitOverride.objects.filter(client=client, kind=kind, currency=currency, window=window)
            return same.filter(set_by=by.name, amount=value, expires_at=expires_at).latest("id")
        row = LimitOverride.objects.create(
            client=client, kind=kind, currency=currency, window=window, amount=value, expires_at=expires_at,
            reason=reason.strip()[:200], set_by=by.name, set_at=at,
        )  # fmt: skip
        _record("limit_override.set", row, by=by, at=at, key=key, reason=reason)
    return row


def end_override(row: LimitOverride, *, by: By, at: datetime, key: str, reason: str) -> LimitOverride:
    """Have a client's own limit end now; their level's counts again. Locks the client's row, then the limit's.

    The same key again changes nothing.

    :raises OverrideOver: if it is not in force. :raises InvalidInput: if the reason is empty.
    """
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    with transaction.atomic():
        Client.objects.select_for_update(no_key=True).get(pk=row.client_id)
        found = LimitOverride.objects.select_for_update(of=("self",), no_key=True)
        row = found.select_related("client", "currency").get(pk=row.pk)
        is_known = keys.is_claimed(by=by, verb="limit.end_override", key=key)
        keys.claim(by=by, verb="limit.end_override", key=key, content=str(row.uuid), at=at)
        if is_known:
            return row
        check_may_end(row, at=at)
        row.expires_at = at
        row.save(update_fields=["expires_at"])
        _record("limit_override.ended", row, by=by, at=at, key=key, reason=reason)
    return row


def check_may_end(row: LimitOverride, *, at: datetime) -> None:
    """:raises OverrideOver: if it has expired or was ended."""
    if row.expires_at <= at:
        raise OverrideOver(f"It ended on {row.expires_at:%Y-%m-%d at %H:%M} UTC.")


def _rooms(client: Client, which: Q, *, at: datetime, moved: Moved | None) -> list[tuple[str, Room]]:
    """The limits of some kinds and currencies, with what is used of each."""
    moved = moved or Moved(client, at=at)
    return [
        (kind, Room(window, currency, amount, moved.amount(kind, currency, window), own))
        for (kind, currency, window), (amount, own) in sorted(_allowed(client, which, at=at).items())
    ]


def _allowed(
    client: Client, which: Q, *, at: datetime
) -> dict[tuple[str, str, Window], tuple[Decimal, int | None]]:
    """What may be moved by kind, currency and window, and by which limit of the client's own, if by one. One question."""
    columns = ("kind", "currency_id", "window", "amount")
    none = Value(None, output_field=BigIntegerField())
    levels = Limit.objects.filter(which, kyc_level=client.kyc_level, is_active=True)
    own = LimitOverride.objects.filter(which, client=client).in_force(at)
    rows = levels.values_list(*columns, none).union(own.values_list(*columns, "pk"), all=True)
    # Of what is the client's own the latest counts; what is their level's comes before any of it.
    return {
        (kind, currency, Window(window)): (amount, pk)
        for kind, currency, window, amount, pk in sorted(rows, key=lambda row: row[4] or 0)
    }


def _record(name: str, row: LimitOverride, *, by: By, at: datetime, key: str, reason: str) -> None:
    events.record(
        name, subject_type="limit_override", subject_id=row.uuid, client_id=row.client.uuid, by=by, at=at, key=key,
        payload={"movement": row.kind, "currency": row.currency_id, "window": row.window, "amount": row.amount,
                 "expires_at": row.expires_at},
        reason=reason,
    )  # fmt: skip
