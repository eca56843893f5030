"""Calls of copy trading: begin, end, who copies whom, and how a trader has done."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from brokerage.deriv.simulator import copying
from brokerage.deriv.simulator.books import Following, Refusal
from brokerage.deriv.simulator.v3.answers import Answer, Request, call
from brokerage.deriv.simulator.v3.fields import Field, either, list_of, number, one_of, text
from brokerage.deriv.simulator.v3.market_calls import LOGIN

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session

TRADER_TOKEN = Field(text(r"[\w\s-]{15,32}"), True)
ASSET = text(r"\w{4,128}")
TRADE_TYPE = text(r"\w{3,128}")
MARKET = "synthetic_index"


@call(
    "copy_start",
    {
        "copy_start": TRADER_TOKEN,
        "assets": Field(either(ASSET, list_of(ASSET))),
        "max_trade_stake": Field(number(0)),
        "min_trade_stake": Field(number(0)),
        "trade_types": Field(either(TRADE_TYPE, list_of(TRADE_TYPE))),
        "loginid": LOGIN,
    },
    scope="trade",
)
def copy_start(session: "Session", request: Request, at: float) -> Answer:
    """From now on, the trader's purchases are bought for this account too."""
    engine, copier = session.engine, session.account()
    trader = engine.account_of(request["copy_start"])
    following = Following(
        copier=copier.login_id,
        trader="" if trader is None else trader.login_id,
        assets=_texts(request, "assets"),
        trade_types=_texts(request, "trade_types"),
        min_trade_stake=_stake(request, "min_trade_stake"),
        max_trade_stake=_stake(request, "max_trade_stake"),
    )
    copying.follow(engine.store, copier, trader, following)
    return Answer("copy_start", {"copy_start": 1})


def _texts(request: Request, name: str) -> tuple[str, ...]:
    value = request.get(name, [])
    return (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))


def _stake(request: Request, name: str) -> Decimal | None:
    return Decimal(request[name]) if name in request else None


@call("copy_stop", {"copy_stop": TRADER_TOKEN, "loginid": LOGIN}, scope="trade")
def copy_stop(session: "Session", request: Request, at: float) -> Answer:
    """Copies the trader no longer; also answered with success if it was not copied before."""
    engine = session.engine
    copying.unfollow(engine.store, session.account(), engine.account_of(request["copy_stop"]))
    return Answer("copy_stop", {"copy_stop": 1})


@call("copytrading_list", {"copytrading_list": Field(one_of(1), True), "loginid": LOGIN}, scope="admin")
def copytrading_list(session: "Session", request: Request, at: float) -> Answer:
    """Who copies this account, and whom it copies."""
    engine, login_id = session.engine, session.account().login_id
    body = {
        "copiers": [{"loginid": following.copier} for following in engine.store.followings(trader=login_id)],
        "traders": [
            {
                "assets": list(following.assets),
                "loginid": following.trader,
                "max_trade_stake": following.max_trade_stake,
                "min_trade_stake": following.min_trade_stake,
                "token": engine.account(following.trader).token,
                "trade_types": list(following.trade_types),
            }
            for following in engine.store.followings(copier=login_id)
        ],
    }
    return Answer("copytrading_list", {"copytrading_list": body})


@call(
    "copytrading_statistics",
    {
        "copytrading_statistics": Field(one_of(1), True),
        "trader_id": Field(text(r"[A-Za-z]{1,10}[0-9]{1,20}"), True),
    },
)
def copytrading_statistics(session: "Session", request: Request, at: float) -> Answer:
    """How an account's closed contracts went; ``copying.Performance`` says what each figure means."""
    engine = session.engine
    try:
        trader = engine.account(request["trader_id"])
    except KeyError:
        raise Refusal("WrongLoginID", "There is no such account.", {"field": "trader_id"}) from None
    engine.advance(at)
    contracts = engine.store.contracts(trader.login_id)
    done = copying.performance(contracts, at)
    body: dict[str, Any] = {
        "active_since": contracts[0].purchase_time if contracts else trader.opened_at,
        "avg_duration": done.average_seconds,
        "avg_loss": done.average_loss,
        "avg_profit": done.average_gain,
        "copiers": len(engine.store.followings(trader=trader.login_id)),
        "last_12months_profitable_trades": done.profitable_lately,
        "monthly_profitable_trades": done.by_month,
        "performance_probability": done.skill,
        "total_trades": done.trades,
        "trades_breakdown": {MARKET: Decimal("100.00")} if done.trades else {},
        "trades_profitable": done.profitable,
        "yearly_profitable_trades": done.by_year,
    }
    return Answer("copytrading_statistics", {"copytrading_statistics": body})
