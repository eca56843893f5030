"""Copy trading: whose purchases an account buys again for itself, and how a trader has done.

Only purchases are copied. A sale before the end is each account's own decision, and a copy is not copied on: two
accounts may copy each other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from math import erf, sqrt

from brokerage.deriv.simulator.books import Account, Contract, Following, Refusal
from brokerage.deriv.simulator.catalog import SYMBOLS
from brokerage.deriv.simulator.store import Store

YEAR = 365 * 86400
TRADE_TYPES = ("CALL", "PUT")


def follow(store: Store, copier: Account, trader: Account | None, following: Following) -> None:
    """Have the copier copy the trader from now on; a following there was already is replaced.

    Raises ``Refusal`` if there is no trader (``InvalidToken``), if it does not show its trades, is the copier itself
    or of the other kind, demo or real, if it trades in another currency, or if the filters make no sense.
    """
    if trader is None:
        raise Refusal("InvalidToken", "The trader's token is not valid.")
    if "read" not in trader.scopes:
        raise Refusal("PermissionDenied", "The trader's token lacks the scope read.")
    if trader.login_id == copier.login_id or trader.is_demo != copier.is_demo:
        raise Refusal("CopyTradingNotAllowed", "An account copies another one of its own kind, demo or real.")
    if trader.currency != copier.currency:
        raise Refusal("CopyTradingWrongCurrency", f"The trader's account is kept in {trader.currency}.")
    for asset in following.assets:
        if asset not in SYMBOLS:
            raise Refusal("InvalidSymbol", f"There is no symbol {asset}.", {"field": "assets"})
    for trade_type in following.trade_types:
        if trade_type not in TRADE_TYPES:
            raise Refusal("InvalidTradeType", f"{trade_type} is not on offer.", {"field": "trade_types"})
    low, high = following.min_trade_stake, following.max_trade_stake
    if low is not None and high is not None and low > high:
        problem = {"min_trade_stake": "is above max_trade_stake"}
        raise Refusal("InputValidationFailed", "Check the fields: min_trade_stake.", problem)
    with store.batch():
        store.save_following(following)


def unfollow(store: Store, copier: Account, trader: Account | None) -> None:
    """Have the copier copy the trader no longer; nothing happens if it did not. Raises ``Refusal`` for no trader."""
    if trader is None:
        raise Refusal("InvalidToken", "The trader's token is not valid.")
    with store.batch():
        store.remove_following(copier.login_id, trader.login_id)


def copiers_of(store: Store, contract: Contract) -> list[str]:
    """The accounts that are to buy what this contract's account has bought."""
    return [
        following.copier
        for following in store.followings(trader=contract.login_id)
        if _wants(following, contract)
    ]


def _wants(following: Following, contract: Contract) -> bool:
    terms, low, high = contract.terms, following.min_trade_stake, following.max_trade_stake
    return (
        terms.symbol in (following.assets or SYMBOLS)
        and terms.contract_type in (following.trade_types or TRADE_TYPES)
        and (low is None or contract.buy_price >= low)
        and (high is None or contract.buy_price <= high)
    )


@dataclass(frozen=True, slots=True)
class Performance:
    """How a trader's closed contracts went; shares and averages in percent with two decimals.

    A contract is profitable if it paid more than it cost. Gains and losses are a part of the price paid, a loss
    written as a positive figure; one that paid exactly its price is neither. Months and years, in UTC, are those in
    which contracts closed; each has the share of its contracts that were profitable.
    """

    trades: int
    average_seconds: int
    average_gain: Decimal
    average_loss: Decimal
    profitable: Decimal
    profitable_lately: Decimal
    by_month: dict[str, Decimal]
    by_year: dict[str, Decimal]
    skill: Decimal


def performance(contracts: Iterable[Contract], at: float) -> Performance:
    """What the trader has done until ``at``. A cancelled contract is no trade: its price was returned.

    ``profitable_lately`` is of the last 365 days. ``skill`` is the chance, from 0 to 1 with four decimals, that
    contracts bought at these prices by luck alone would not have done better; 0.5 for no contracts.
    """
    closed = [contract for contract in contracts if contract.status in ("won", "lost", "sold")]
    seconds = [Decimal((contract.sell_time or 0) - contract.purchase_time) for contract in closed]
    gains = [100 * _profit(contract) / contract.buy_price for contract in closed]
    return Performance(
        trades=len(closed),
        average_seconds=int(_average(seconds).quantize(Decimal(1), ROUND_HALF_UP)),
        average_gain=_hundredths(_average([gain for gain in gains if gain > 0])),
        average_loss=_hundredths(_average([-gain for gain in gains if gain < 0])),
        profitable=_share(closed),
        profitable_lately=_share([one for one in closed if (one.sell_time or 0) > at - YEAR]),
        by_month=_shares(closed, "%Y-%m"),
        by_year=_shares(closed, "%Y"),
        skill=_skill(closed),
    )


def _profit(contract: Contract) -> Decimal:
    return (contract.sell_price or Decimal(0)) - contract.buy_price


def _average(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / max(len(values), 1)


def _hundredths(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _share(closed: Sequence[Contract]) -> Decimal:
    return _hundredths(_average([Decimal(100 * int(_profit(contract) > 0)) for contract in closed]))


def _shares(closed: Sequence[Contract], form: str) -> dict[str, Decimal]:
    spans: dict[str, list[Contract]] = {}
    for contract in closed:
        spans.setdefault(datetime.fromtimestamp(contract.sell_time or 0, UTC).strftime(form), []).append(
            contract
        )
    return {span: _share(members) for span, members in sorted(spans.items())}


def _skill(closed: Sequence[Contract]) -> Decimal:
    """A normal approximation: a fair contract is profitable with the chance price / payout."""
    chances = [float(contract.buy_price / contract.payout) for contract in closed]
    variance = sum(chance * (1 - chance) for chance in chances)
    surplus = sum(_profit(contract) > 0 for contract in closed) - sum(chances)
    chance = (1 + erf(surplus / sqrt(2 * variance))) / 2 if variance > 0 else 0.5
    return Decimal(repr(chance)).quantize(Decimal("0.0001"), ROUND_HALF_UP)
