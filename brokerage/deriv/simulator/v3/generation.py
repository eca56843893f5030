"""Generation v3: every call there is, written as the handlers make it."""

from brokerage.deriv.simulator.generation import Generation
from brokerage.deriv.simulator.v3 import account_calls, market_calls, trading_calls  # noqa: F401  (they register the calls)
from brokerage.deriv.simulator.v3.answers import CALLS
from brokerage.deriv.simulator.v3.limits import RATES

V3 = Generation("v3", CALLS, RATES, lambda msg_type, body: body)
