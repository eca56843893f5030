"""The calls of a v4 socket: v3's, asked in v4's words.

A socket is an account's from the start or nobody's, so no call names an account, and what a token must be allowed was
looked at when the address was made.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from brokerage.deriv.simulator.books import Refusal
from brokerage.deriv.simulator.v3.answers import CALLS as V3_CALLS
from brokerage.deriv.simulator.v3.answers import COMMON, Answer, Call, Handler, Request
from brokerage.deriv.simulator.v3.fields import (
    Field,
    any_object,
    either,
    list_of,
    number,
    one_of,
    problems,
    text,
    whole,
)
from brokerage.deriv.simulator.v3.generation import V3
from brokerage.deriv.simulator.v3.market_calls import (
    CONTRACT_TYPE,
    CURRENCY,
    EPOCH,
    STREAM_ID,
    SUBSCRIBE,
    WORD,
)
from brokerage.deriv.simulator.v3.trading_calls import BARRIER
from brokerage.deriv.simulator.v4 import own_calls

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session

assert V3.calls is V3_CALLS, "v3's calls are registered before they are looked up"

STREAM_KIND = one_of("balance", "candles", "proposal", "proposal_open_contract", "ticks", "transaction")
TERMS = {
    "contract_type": Field(CONTRACT_TYPE, True),
    "currency": Field(CURRENCY, True),
    "underlying_symbol": Field(WORD, True),
    "amount": Field(number(0)),
    "basis": Field(one_of("stake", "payout")),
    "duration": Field(whole(0, 99_999_999)),
    "duration_unit": Field(one_of("t", "s", "m", "h", "d")),
    "date_expiry": Field(EPOCH),
    "barrier": Field(BARRIER),
    "barrier2": Field(BARRIER),
    "cancellation": Field(WORD),
    "growth_rate": Field(number()),
    "limit_order": Field(any_object),
    "multiplier": Field(number(0)),
    "payout_per_point": Field(number()),
    "selected_tick": Field(whole()),
}
PARAMETERS = {**TERMS, "app_markup_percentage": Field(number())}

CALLS: dict[str, Call] = {}

NOT_SERVED = dict.fromkeys(
    ("auto_get", "auto_list", "auto_list_strategies", "auto_pause", "auto_resume", "auto_start", "auto_stop"),
    "a bot that runs at the venue itself",
)
"""What v4 knows and the simulator does not, with the reason: such a call is answered as one that does not exist."""


def as_v3(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same request in v3's words."""
    return {"symbol" if name == "underlying_symbol" else name: value for name, value in fields.items()}


def _serve(name: str, fields: Mapping[str, Field], group: str = "general") -> None:
    known = V3_CALLS[name]

    def handler(session: "Session", request: Request, at: float) -> Answer:
        asked = as_v3(request)
        if "parameters" in request:
            if found := problems(request["parameters"], PARAMETERS, "parameters."):
                raise Refusal("InputValidationFailed", f"Check the fields: {', '.join(found)}.", found)
            asked["parameters"] = as_v3(request["parameters"])
        return known.handler(session, asked, at)

    handler.__doc__ = known.handler.__doc__
    scope = None if known.scope is None else "trade"
    CALLS[name] = Call(name, {**fields, **COMMON}, scope, group, handler)


def _serve_own(name: str, fields: Mapping[str, Field], handler: Handler, scope: str | None = None) -> None:
    """A call that v3 does not have here."""
    CALLS[name] = Call(name, {**fields, **COMMON}, scope, "general", handler)


_ONE = Field(one_of(1), True)

_serve("ping", {"ping": _ONE}, "ping")
_serve("time", {"time": _ONE})
_serve("forget", {"forget": Field(STREAM_ID, True)})
_serve("forget_all", {"forget_all": Field(either(STREAM_KIND, list_of(STREAM_KIND)), True)})
_serve(
    "active_symbols",
    {"active_symbols": Field(one_of("brief", "full"), True), "contract_type": Field(list_of(CONTRACT_TYPE))},
)
_serve("contracts_for", {"contracts_for": Field(WORD, True)})
_serve("ticks", {"ticks": Field(either(WORD, list_of(WORD)), True), "subscribe": SUBSCRIBE})
_serve(
    "ticks_history",
    {name: field for name, field in V3_CALLS["ticks_history"].fields.items() if name not in COMMON},
)
_serve("proposal", {"proposal": _ONE, **TERMS, "subscribe": SUBSCRIBE}, "trading")
_serve(
    "buy",
    {
        "buy": Field(either(STREAM_ID, one_of("1")), True),
        "price": Field(number(0), True),
        "parameters": Field(any_object),
        "subscribe": SUBSCRIBE,
    },
    "trading",
)
_serve("sell", {"sell": Field(whole(), True), "price": Field(number(0), True)}, "trading")
_serve(
    "proposal_open_contract",
    {"proposal_open_contract": _ONE, "contract_id": Field(whole()), "subscribe": SUBSCRIBE},
    "trading",
)
_serve("balance", {"balance": _ONE, "subscribe": Field(one_of(0, 1))}, "account")
_serve("portfolio", {"portfolio": _ONE, "contract_type": Field(list_of(CONTRACT_TYPE))}, "outcome")
_serve(
    "profit_table",
    {
        name: field
        for name, field in V3_CALLS["profit_table"].fields.items()
        if name not in (*COMMON, "loginid")
    },
    "outcome",
)
_serve(
    "statement",
    {
        "statement": _ONE,
        "action_type": Field(one_of("buy", "sell", "deposit", "withdrawal")),
        "date_from": Field(EPOCH),
        "date_to": Field(EPOCH),
        "description": Field(one_of(0, 1)),
        "limit": Field(number(0, 999)),
        "offset": Field(whole(0)),
    },
    "account",
)
_serve("transaction", {"transaction": _ONE, "subscribe": Field(one_of(1), True)})
_serve("logout", {"logout": _ONE, "loginid": Field(text(r"[A-Za-z]{1,10}[0-9]{1,20}"))})
_serve("trading_times", {"trading_times": V3_CALLS["trading_times"].fields["trading_times"]})
_serve("cancel", {"cancel": Field(whole(), True)})
_serve(
    "contract_update",
    {
        "contract_update": _ONE,
        "contract_id": Field(whole(), True),
        "limit_order": Field(any_object, True),
    },
)
_serve_own("contracts_list", {"contracts_list": _ONE}, own_calls.contracts_list)
_serve_own(
    "contract_update_history",
    {
        "contract_update_history": _ONE,
        "contract_id": Field(whole(), True),
        "limit": Field(number(1, 999)),
    },
    own_calls.contract_update_history,
    scope="trade",
)
