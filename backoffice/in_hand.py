"""One thing in one person's hands: whoever works a queue takes the next item, and nobody else works on it for a while.

A model has it by `InHand` (and its queryset by `InHandQuerySet`); each app's verbs check who may take what, and hold the
row's lock. What was taken is free again by itself.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, Self, TypeVar

from django.db import models, transaction
from django.db.models import Q

from backoffice.errors import DomainError
from backoffice.models import User

TAKEN_FOR: Final = timedelta(minutes=15)
_FIELDS: Final = ["taken_by", "taken_until"]
Kept = TypeVar("Kept", bound=models.Model)


class TakenBySomebody(DomainError):
    """Another person has it in hand; that ends by itself."""

    code = "TAKEN_BY_SOMEBODY"


class InHandQuerySet(models.QuerySet[Kept]):
    """Reads of what may be in somebody's hands."""

    def taken_by(self, staff: User, at: datetime) -> Self:
        return self.filter(taken_by=staff, taken_until__gt=at)

    def free(self, at: datetime, *, but: User | None = None) -> Self:
        """In nobody's hands, or in nobody's but this person's."""
        free = Q(taken_until__isnull=True) | Q(taken_until__lte=at)
        if but is not None:
            free |= Q(taken_by=but)
        return self.filter(free)


class InHand(models.Model):
    """Who has it in hand, and until when at the latest."""

    taken_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    taken_until = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    def is_taken(self, at: datetime) -> bool:
        """Whether somebody has it in hand; that ends by itself."""
        return self.taken_until is not None and self.taken_until > at


Row = TypeVar("Row", bound=InHand)
Record = Callable[[str, Any], None]


def check_free(row: InHand, user_id: int | None, *, at: datetime) -> None:
    """:raises TakenBySomebody: if another person has it in hand. Parts of the system, without a user, are in nobody's way."""
    if user_id is not None and row.is_taken(at) and row.taken_by_id != user_id:
        raise TakenBySomebody(
            f"{row.taken_by} has it in hand until {row.taken_until:%H:%M:%S} UTC at the latest."
        )


def take(row: Row, user: User, *, record: Record, at: datetime) -> Row:
    """Take a locked row in hand for 15 minutes; taking it again begins them anew. `record` tells: “taken”, the row.

    :raises TakenBySomebody: if another person has it.
    """
    check_free(row, user.pk, at=at)
    row.taken_by, row.taken_until = user, at + TAKEN_FOR
    row.save(update_fields=_FIELDS)
    record("taken", row)
    return row


def take_next(rows: Any, user: User, *, record: Record, at: datetime) -> Any:
    """Take the oldest of these rows that is in nobody's hands; what the person has in hand already comes first.

    Two who ask at once get two. None: nothing waits.
    """
    with transaction.atomic():
        mine = rows.taken_by(user, at).order_by("id").first()
        if mine is not None:
            return mine
        free = rows.free(at).order_by("id").select_for_update(of=("self",), no_key=True, skip_locked=True)
        row = free.first()
        return None if row is None else take(row, user, record=record, at=at)


def let_go(row: Row, user: User, *, record: Record, at: datetime) -> Row:
    """Have a locked row no longer in hand; what is not taken stays so. `record` tells: “let_go”, the row.

    :raises TakenBySomebody: if another person has it.
    """
    check_free(row, user.pk, at=at)
    if row.is_taken(at):
        row.taken_by = row.taken_until = None
        row.save(update_fields=_FIELDS)
        record("let_go", row)
    return row
