"""Generation v4: its calls, its words, its limits."""

from brokerage.deriv.simulator.generation import Generation, Rate
from brokerage.deriv.simulator.v4.calls import CALLS
from brokerage.deriv.simulator.v4.shown import shown

RATES = {
    "trading": Rate(360),
    "outcome": Rate(30),
    "account": Rate(100),
    "general": Rate(220),
    "ping": Rate(10, 1.0),
}
V4 = Generation("v4", CALLS, RATES, shown)
