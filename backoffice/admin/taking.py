"""The buttons of a queue that is worked by several: take one in hand, let it go, take the next."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.http import HttpRequest
from django.utils import timezone

from backoffice.admin import show
from backoffice.admin.actions import DialogForm, Done, dialog_action
from backoffice.admin.base import url_of
from backoffice.errors import NotFound
from backoffice.in_hand import InHand
from backoffice.who import By


class OfOne(Protocol):
    """A verb about one row."""

    def __call__(self, row: Any, /, *, by: By, at: datetime) -> Any: ...


class OfQueue(Protocol):
    """A verb about the next of a queue; `reader` sees what they may see, no more."""

    def __call__(self, *, by: By, at: datetime) -> Any: ...


@dataclass(frozen=True, slots=True)
class TakeActions:
    """The three actions, for `actions_detail` (take, let go) and `actions_list` (take next)."""

    take: Any
    let_go: Any
    take_next: Any


def take_actions(
    *,
    permission: str,
    take: OfOne,
    let_go: OfOne,
    take_next: OfQueue,
    waits: Callable[[Any], bool],
    form: type[DialogForm] = DialogForm,
) -> TakeActions:
    """Actions of an app's verbs. `waits` says which rows somebody may work on; `form.check` who may take one."""

    @dialog_action(
        form, title="Take in hand", button="Take it", permission=permission, icon="front_hand",
        applies=lambda row: waits(row) and not row.is_taken(timezone.now()),
        description="For 15 minutes nobody else works on it; then it is free again by itself.",
    )  # fmt: skip
    def take_this(admin: Any, request: HttpRequest, row: Any, form: Any) -> str:
        take(row, by=_by(request), at=timezone.now())
        return "It is in your hands for 15 minutes."

    @dialog_action(
        DialogForm, title="Let go", button="Let it go", permission=permission, icon="back_hand",
        applies=lambda row: row.is_taken(timezone.now()), description="Others may work on it again.",
    )  # fmt: skip
    def let_this_go(admin: Any, request: HttpRequest, row: Any, form: Any) -> str:
        let_go(row, by=_by(request), at=timezone.now())
        return "It is in nobody's hands."

    @dialog_action(
        DialogForm, title="Take next", button="Take the next one", permission=permission, icon="skip_next",
        description="The oldest that waits for you and is in nobody's hands becomes yours for 15 minutes, and opens.",
    )  # fmt: skip
    def take_next_one(admin: Any, request: HttpRequest, row: None, form: Any) -> Done:
        taken = take_next(by=_by(request), at=timezone.now())
        if taken is None:
            raise NotFound("Nothing waits for you.")
        return Done("It is in your hands for 15 minutes.", url_of(taken))

    return TakeActions(take_this, let_this_go, take_next_one)


def in_hand(row: InHand) -> str:
    """Who has it in hand and for how long at most, as a sentence; empty if it is free."""
    now = timezone.now()
    if row.taken_until is None or not row.is_taken(now):
        return ""
    return f"In hand with {row.taken_by}, {show.span((row.taken_until - now).total_seconds())} left."


def _by(request: HttpRequest) -> By:
    return By.user(request.user)  # type: ignore[arg-type]
