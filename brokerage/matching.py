"""How a contract at the venue is recognized as the purchase whose answer was lost. Pure: asks nobody.

The venue keeps no order id of ours. What it does keep are the terms, the price and the time.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from brokerage.models import Trade
from brokerage.models.trades import SECONDS

# The venue's clock and ours may differ by this much, and a purchase is stamped within it of being sent.
CLOCK_SLACK: Final = timedelta(seconds=5)
# A contract bought by an offer pays what was offered, or nearly so where the price moved within the venue's tolerance.
PAYOUT_SLACK: Final = Decimal("0.05")
SHORTCODE: Final = re.compile(r"^(CALL|PUT)_(.+)_([0-9.]+)_(\d+)_(\d+)(T?)_S0P_0$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contract at the venue that could be the lost purchase. Price in the account's currency, times in Unix seconds."""

    contract_id: int
    shortcode: str
    buy_price: Decimal
    purchase_time: int

    @property
    def payout(self) -> Decimal | None:
        """What it pays if it wins, as its shortcode tells; None if that cannot be read."""
        found = SHORTCODE.match(self.shortcode)
        return Decimal(found[3]) if found else None


def fits(trade: Trade, candidate: Candidate) -> bool:
    """Whether the contract has the trade's terms and price and was bought while the trade was being sent."""
    assert trade.submitted_at is not None and trade.deadline_at is not None
    earliest = (trade.submitted_at - CLOCK_SLACK).timestamp()
    latest = (trade.deadline_at + CLOCK_SLACK).timestamp()
    return (
        candidate.buy_price == trade.stake
        and earliest <= candidate.purchase_time <= latest
        and same_terms(trade, candidate.shortcode)
    )


def same_terms(trade: Trade, shortcode: str) -> bool:
    """Whether a contract's shortcode tells the trade's side, instrument, length and, nearly, the offered payout."""
    found = SHORTCODE.match(shortcode)
    if found is None:
        return False
    side, symbol, payout, start, end, ticks = found.groups()
    if ticks:
        same_length = trade.duration_unit == "t" and int(end) == trade.duration
    else:
        same_length = (
            trade.duration_unit != "t"
            and int(end) - int(start) == trade.duration * SECONDS[trade.duration_unit]
        )
    offered = trade.offered_payout
    return (
        side.upper() == trade.side
        and symbol == trade.instrument.symbol
        and same_length
        and (offered is None or abs(Decimal(payout) - offered) <= offered * PAYOUT_SLACK)
    )
