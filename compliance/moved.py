"""What a client moved lately: what limits and monitoring rules count, asked for once however many of them there are."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from django.db.models import Count, Q, Sum

from compliance.models import Activity, Client, Window

ROLLING: Final = tuple(window for window in Window if window != Window.ONE)


class Moved:
    """What counts of what a client did, back from an instant over each window. What they did later than that counts too, since
    clocks differ; not with `only_before`.

    One question, when something is first asked of it; what is committed afterwards is not seen. `without` leaves one
    activity out: the one that is asked about.
    """

    def __init__(
        self, client: Client, *, at: datetime, without: Activity | None = None, only_before: bool = False
    ) -> None:
        self._client, self._at, self._without, self._only_before = client, at, without, only_before

    def amount(self, kind: str, currency: str, window: Window) -> Decimal:
        """How much of a currency, by one kind of movement. Nothing, of what is allowed at once."""
        if window == Window.ONE:
            return Decimal(0)
        found: Decimal | None = self._found.get((kind, currency), {}).get(f"amount_{window:d}")
        return found or Decimal(0)

    def times(self, kind: str, window: Window) -> int:
        """How often, in whatever currency."""
        return sum(row[f"times_{window:d}"] for (of, _), row in self._found.items() if of == kind)

    @cached_property
    def _found(self) -> dict[tuple[str, str], dict[str, Any]]:
        since = {window: self._at - timedelta(hours=window) for window in ROLLING}
        rows = Activity.objects.filter(client=self._client, counts=True, at__gt=min(since.values()))
        if self._without is not None and self._without.pk is not None:
            rows = rows.exclude(pk=self._without.pk)
        if self._only_before:
            rows = rows.filter(at__lte=self._at)
        columns: dict[str, Any] = {}
        for window, begins in since.items():
            columns[f"amount_{window:d}"] = Sum("amount", filter=Q(at__gt=begins))
            columns[f"times_{window:d}"] = Count("pk", filter=Q(at__gt=begins))
        found: Any = rows.values("kind", "currency").annotate(**columns)
        return {(row["kind"], row["currency"]): row for row in found}
