"""Our markup: which one applies, and what it makes of an offer.

An account's own goes before its client's, and that before the one registered with the venue for our application,
which every offer's price has in it. An own one is bought with terms in place of the offer, at the stake at most.
"""

from decimal import Decimal

from backoffice.configuration import configuration
from brokerage import pricing
from brokerage.deriv.types import Proposal
from brokerage.models import Trade, TradingAccount


def override_of(account: TradingAccount) -> Decimal | None:
    """The markup in place of the registered one, as a share of the payout; ``None`` where that one applies."""
    own: Decimal | None = account.markup_rate
    clients: Decimal | None = account.client.markup_rate
    return own if own is not None else clients


def rate_of(trade: Trade) -> Decimal:
    """The markup in the trade's price, as a share of the payout: its own, else the registered one."""
    return configuration().deriv_app_markup_rate if trade.markup_rate is None else trade.markup_rate


def expected_payout(offer: Proposal, override: Decimal | None, *, exponent: int) -> Decimal:
    """What the stake of an offer will pay: what the offer says, or an estimate where another markup applies."""
    if override is None:
        return offer.payout
    registered = configuration().deriv_app_markup_rate
    return pricing.payout_with(
        offer.ask_price, offer.payout, registered=registered, wanted=override, exponent=exponent
    )
