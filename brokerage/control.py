"""What the brokerage tells the control of the books: what money is still held for, and what stands behind an entry."""

from uuid import UUID

from brokerage.models import Funding, Trade


def live_trades(ids: set[UUID]) -> set[UUID]:
    """Which of these trades are not final."""
    return set(Trade.objects.filter(uuid__in=ids).exclude(state__in=Trade.FINAL).values_list("uuid", flat=True))


def live_fundings(ids: set[UUID]) -> set[UUID]:
    """Which of these fundings are not final."""
    return set(Funding.objects.filter(uuid__in=ids).unfinished().values_list("uuid", flat=True))
