"""Tables of the brokerage, by noun. Django finds models through this module."""

from brokerage.models.accounts import TradingAccount
from brokerage.models.instruments import Instrument
from brokerage.models.trades import Trade

__all__ = ["Instrument", "Trade", "TradingAccount"]
