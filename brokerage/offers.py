"""Prices asked for before a trade is placed."""

from dataclasses import replace
from decimal import Decimal

from backoffice.errors import DomainError
from brokerage import markup, placing, venue
from brokerage.deriv import errors
from brokerage.deriv.types import ContractTerms, Proposal
from brokerage.execution import PRICE_SECONDS
from brokerage.models import TradingAccount


class PriceRefused(DomainError):
    """The venue gives no price for these terms; its reason is the message."""

    code = "PRICE_REFUSED"


class VenueUnavailable(DomainError):
    """The venue cannot be asked at the moment; asking again is safe."""

    code = "VENUE_UNAVAILABLE"


def price(
    *,
    account: TradingAccount,
    symbol: str,
    side: str,
    stake: str | Decimal,
    duration: int,
    duration_unit: str,
) -> Proposal:
    """What the venue would pay for this stake now. Buys nothing, moves nothing; the price holds for moments.

    Where a markup of the account's or the client's own applies, the payout is an estimate to the cent.

    :raises AccountNotReady, UnknownInstrument, InvalidAmount, StakeOutOfRange, DurationNotOffered: as `placing.place`.
    :raises PriceRefused: if the venue refuses the terms.
    :raises VenueUnavailable: if it cannot be asked in time.
    """
    amount, instrument = placing.check_terms(
        account, symbol=symbol, side=side, stake=stake, duration=duration, duration_unit=duration_unit
    )
    terms = ContractTerms(
        contract_type=side,  # type: ignore[arg-type]
        symbol=instrument.symbol,
        basis="stake",
        amount=amount,
        duration=duration,
        duration_unit=duration_unit,  # type: ignore[arg-type]
        currency=account.currency_id,
    )
    try:
        offer = venue.proposal(str(account.pk), terms, deadline=venue.deadline_in(PRICE_SECONDS))
    except errors.Refused as found:
        raise PriceRefused(found.message or "The venue gives no price for this.", field=found.field) from None
    except errors.VenueError as found:
        raise VenueUnavailable(f"The venue cannot be asked at the moment ({found.code}).") from None
    payout = markup.expected_payout(offer, markup.override_of(account), exponent=account.currency.exponent)
    return replace(offer, payout=payout)
