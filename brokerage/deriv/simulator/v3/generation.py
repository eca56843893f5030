"""Generation v3: every call there is, written as the handlers make it."""

from brokerage.deriv.simulator.generation import Generation
from brokerage.deriv.simulator.v3 import (  # noqa: F401  (they register the calls)
    account_calls,
    contract_calls,
    copy_calls,
    market_calls,
    markup_calls,
    money_calls,
    reference_calls,
    trading_calls,
    user_calls,
)
from brokerage.deriv.simulator.v3.answers import CALLS
from brokerage.deriv.simulator.v3.limits import RATES

V3 = Generation("v3", CALLS, RATES, lambda msg_type, body: body)
