"""How fast it is, each figure beside a reference measured in the same run. `make bench` writes `docs/measurements.md`.

- ``ground``: servers of its own, migrated, with reference data, durable as in production.
- ``table``: the figures as a table, and where it is kept.
- every other module: one part of the product. Its docstring says what is measured, how, and what it does not say;
  its ``run(ground)`` returns figures.
"""

from dataclasses import dataclass
from typing import Final

LOWER_IS_BETTER: Final = frozenset({"ms", "s", "×"})


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured, beside its reference and the goal it is held to."""

    name: str
    value: float
    unit: str
    reference: str = ""
    """What it is compared with, in words; its figure is in the same unit."""
    reference_value: float | None = None
    goal: float | None = None
    """Of the ratio to the reference where there is one, else of the value itself."""
    note: str = ""
    limit: float | None = None
    """Of the value itself, whatever it is compared with."""

    @property
    def ratio(self) -> float | None:
        return None if not self.reference_value else self.value / self.reference_value

    @property
    def is_lower_better(self) -> bool:
        return self.unit in LOWER_IS_BETTER

    @property
    def is_met(self) -> bool | None:
        """Whether goal and limit are reached; nothing if there is neither."""
        compared = self.value if self.reference_value is None else self.ratio
        asked = [(self.limit, self.value), (self.goal, compared)]
        reached = [
            found <= wanted if self.is_lower_better else found >= wanted
            for wanted, found in asked
            if wanted is not None and found is not None
        ]
        return all(reached) if reached else None
