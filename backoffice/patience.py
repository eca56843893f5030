"""How old a state that is not final may get, from when its age counts, and whose it is to move on.

A model with `MOVES` says so in `PATIENCE`, for every state that is neither final nor in its `RESTING`:

    PATIENCE = {State.QUEUED: Patience(timedelta(seconds=60), "changed_at", "A worker")}

The console's page of what is stuck, the queues and the counts on Home all read it; nothing else says what late means.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, DateTimeField, F, Model, Q, When
from django.db.models.functions import Coalesce, Now


@dataclass(frozen=True, slots=True)
class Patience:
    """A state's allowed age. It counts from the first of the `since` columns that is filled."""

    length: timedelta
    since: str | tuple[str, ...]
    owner: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.since,) if isinstance(self.since, str) else self.since


def of(row: Model) -> Patience | None:
    """What holds for a row's present state; None where it is final or may rest."""
    patience: dict[str, Patience] = row.PATIENCE  # type: ignore[attr-defined]
    return patience.get(row.state)  # type: ignore[attr-defined]


def since(row: Model) -> datetime | None:
    """From when a row's age counts."""
    if (patience := of(row)) is None:
        return None
    found = (getattr(row, column) for column in patience.columns)
    return next((instant for instant in found if instant is not None), None)


def is_late(row: Model, at: datetime) -> bool:
    """Past the age its state allows: what `late` finds, for one row."""
    patience, begun = of(row), since(row)
    return patience is not None and begun is not None and begun < at - patience.length


def late(model: type[Model], at: datetime | Now) -> Q:
    """Which rows of a model are stuck at an instant, or by the database's clock, for querysets and counts."""
    condition = Q()
    for state, patience in model.PATIENCE.items():  # type: ignore[attr-defined]
        empty: dict[str, Any] = {}
        for column in patience.columns:
            condition |= Q(state=state, **{f"{column}__lt": at - patience.length}, **empty)
            empty[f"{column}__isnull"] = True
    return condition


def age_column(model: type[Model]) -> Case:
    """From when each row's age counts, for ordering and the oldest of many."""
    return Case(
        *(
            When(
                state=state,
                then=Coalesce(*patience.columns) if len(patience.columns) > 1 else F(patience.columns[0]),
            )
            for state, patience in model.PATIENCE.items()  # type: ignore[attr-defined]
        ),
        output_field=DateTimeField(),
    )
