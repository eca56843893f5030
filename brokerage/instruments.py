"""The instruments the venue offers, brought up to date from what it says."""

import re
from datetime import datetime
from decimal import Decimal

from brokerage import venue
from brokerage.deriv.types import ContractOffer
from brokerage.models import Instrument

KINDS = {"synthetic_index": "synthetic", "forex": "forex", "cryptocurrency": "crypto", "stock": "stock"}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def sync(*, at: datetime) -> int:
    """Add what is new at the venue and update names, pips, suspensions and duration limits; returns how many.

    What staff set (offered or not, stake limits) is never overwritten. What the venue no longer lists is
    suspended, not deleted: trades refer to it.

    :raises VenueError: if the venue cannot be asked; nothing is changed.
    """
    deadline = venue.deadline_in(20)
    found = venue.active_symbols(deadline=deadline)
    for row in found:
        kind = KINDS.get(row.market, "synthetic")
        values = {
            "name": row.display_name,
            "kind": kind,
            "market": row.submarket,
            "pip": row.pip,
            "tick_seconds": 1 if row.symbol.startswith("1HZ") else 2,
            "is_suspended": row.is_trading_suspended or not row.exchange_is_open,
            **_limits(venue.contracts_for(row.symbol, deadline=deadline)),
        }
        instrument, is_new = Instrument.objects.get_or_create(
            symbol=row.symbol, defaults={**values, "synced_at": at}
        )
        if not is_new and any(getattr(instrument, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(instrument, name, value)
            instrument.save()
    Instrument.objects.filter(symbol__in=[row.symbol for row in found]).update(synced_at=at)
    for gone in Instrument.objects.filter(is_suspended=False).exclude(
        symbol__in=[row.symbol for row in found]
    ):
        gone.is_suspended = True
        gone.save()
    return len(found)


def _limits(offers: list[ContractOffer]) -> dict[str, int | Decimal]:
    """The shortest and longest rise/fall durations, in ticks and in seconds, over all offers of one symbol."""
    limits: dict[str, int | Decimal] = {}
    for offer in offers:
        if offer.contract_type not in ("CALL", "PUT") or offer.start_type not in (None, "spot"):
            continue
        (low, low_unit), (high, high_unit) = _length(offer.min_duration), _length(offer.max_duration)
        if low_unit == high_unit == "t":
            limits["min_ticks"], limits["max_ticks"] = low, high
        elif "t" not in (low_unit, high_unit):
            low, high = low * SECONDS[low_unit], high * SECONDS[high_unit]
            limits["min_seconds"] = min(low, limits.get("min_seconds", low))
            limits["max_seconds"] = max(high, limits.get("max_seconds", high))
    return limits


def _length(text: str) -> tuple[int, str]:
    """“15s” → (15, "s"). :raises ValueError: if the venue writes a duration in another way."""
    found = re.fullmatch(r"(\d+)([tsmhd])", text)
    if found is None:
        raise ValueError(f"The venue gave “{text[:20]}” as a duration.")
    return int(found[1]), found[2]
