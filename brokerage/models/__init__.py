"""Tables of the brokerage, by noun. Django finds models through this module."""

from brokerage.models.accounts import TradingAccount
from brokerage.models.differences import Difference
from brokerage.models.funding import Funding
from brokerage.models.gate import OrderGate
from brokerage.models.grants import Grant, GrantRequest
from brokerage.models.instruments import Instrument
from brokerage.models.limits import TradeLimit
from brokerage.models.markup import MarkupReport
from brokerage.models.statements import StatementProof, VenueLine, unconfirmed
from brokerage.models.trades import Trade

__all__ = [
    "Difference",
    "Funding",
    "Grant",
    "GrantRequest",
    "Instrument",
    "MarkupReport",
    "OrderGate",
    "StatementProof",
    "Trade",
    "TradeLimit",
    "TradingAccount",
    "VenueLine",
    "unconfirmed",
]
