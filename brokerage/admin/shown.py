"""How trades look: their states in the fixed colors, their money, and whether they are late."""

from typing import Final

from django.utils import timezone
from django.utils.safestring import SafeString

from backoffice.admin import show
from backoffice.patience import is_late
from brokerage.models import Trade, TradingAccount

State = Trade.State
TONES: Final = {
    State.QUEUED: show.WAITING,
    State.SUBMITTING: show.MOVING,
    State.UNCERTAIN: show.MINE,
    State.OPEN: show.MOVING,
    State.WON: show.DONE,
    State.LOST: show.DONE,
    State.SOLD: show.DONE,
    State.REFUNDED: show.DONE,
    State.DENIED: show.WRONG,
    State.REJECTED: show.WRONG,
    State.WITHDRAWN: show.WAITING,
    State.NEVER_PLACED: show.WAITING,
}
ACCOUNT_TONES: Final = {
    TradingAccount.State.OPENING: show.WAITING,
    TradingAccount.State.ACTIVE: show.DONE,
    TradingAccount.State.UNREACHABLE: show.MINE,
    TradingAccount.State.UNLINKED: show.WAITING,
    TradingAccount.State.CLOSED: show.WAITING,
}
UNITS: Final = {"t": "tick", "s": "second", "m": "minute", "h": "hour", "d": "day"}


def badge(trade: Trade) -> SafeString:
    """The state in its color; amber once it is stuck, whatever it is."""
    tone = show.MINE if is_late(trade, timezone.now()) else TONES[State(trade.state)]
    return show.badge(trade.get_state_display(), tone)


def account_badge(account: TradingAccount) -> SafeString:
    return show.badge(account.get_state_display(), ACCOUNT_TONES[TradingAccount.State(account.state)])


def what(trade: Trade) -> str:
    """“Rise Volatility 100 Index, 5 ticks”."""
    return f"{trade.get_side_display()} {trade.instrument.name}, {length(trade)}"


def length(trade: Trade) -> str:
    unit = UNITS[trade.duration_unit]
    return f"{trade.duration} {unit}" if trade.duration == 1 else f"{trade.duration} {unit}s"


def stake(trade: Trade) -> SafeString:
    return show.money(trade.stake, trade.currency, decimals(trade))


def result(trade: Trade) -> SafeString:
    return show.gain(trade.profit, trade.currency, decimals(trade))


def decimals(trade: Trade) -> int:
    return int(trade.account.currency.exponent)
