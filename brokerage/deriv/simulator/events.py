"""What happens at the venue, for whoever streams it."""

from dataclasses import dataclass

from brokerage.deriv.simulator.books import Account, Contract, Line


@dataclass(frozen=True, slots=True)
class Booked:
    """A line was written; ``contract`` is the one it concerns, as it is after the line."""

    line: Line
    account: Account
    contract: Contract | None


@dataclass(frozen=True, slots=True)
class Expired:
    """A contract has reached its end and waits to be settled."""

    contract: Contract


Event = Booked | Expired
