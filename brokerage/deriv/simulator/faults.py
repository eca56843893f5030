"""Misbehavior on demand: rules that make a call or a pushed frame go wrong, a number of times, for one account or all.

A fault of a call acts ``before`` the engine sees the call, on what the call has ``done``, and when the answer is
``deliver``ed. A fault of frames (its name ends so) acts when a frame is delivered that the venue pushes by itself; its
``call`` is the frame's message type. A new kind is a subclass with a ``name``; it becomes available by being defined.
"""

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Protocol

from brokerage.deriv.simulator.books import Refusal


class DropConnection(Exception):
    """Close this socket now, and send nothing more."""


class Wire(Protocol):
    """The connection a fault's frames go out on."""

    def put(self, text: str) -> None:
        """Send now."""

    def later(self, seconds: float, text: str) -> None:
        """Send after so long."""

    def behind(self, seconds: float, text: str) -> None:
        """Send after the next frame that goes out, and after so long at the latest."""


class Venue(Protocol):
    """What a fault can have the venue do with a contract it sold."""

    def settle_late(self, contract_id: int, seconds: float) -> None: ...

    def refund(self, contract_id: int) -> None: ...


@dataclass(slots=True)
class Fault:
    """A rule. ``times`` is how often it still applies; ``call`` and ``login_id`` narrow it down."""

    number: int
    call: str | None = None
    login_id: str | None = None
    times: int = 1
    seconds: float | Decimal = 1.0
    code: str = "InternalServerError"
    message: str = "Refused on request."
    hits: int = field(default=0, init=False)

    name: ClassVar[str] = ""
    kinds: ClassVar[dict[str, type["Fault"]]] = {}
    of_frames: ClassVar[bool] = False
    only_call: ClassVar[str | None] = None
    """The call it concerns when the rule names none."""

    def __init_subclass__(cls) -> None:
        if cls.name:
            Fault.kinds[cls.name] = cls

    async def before(self) -> None:
        """Raise ``Refusal`` or ``DropConnection`` to keep the engine from acting."""

    def done(self, body: dict[str, Any], venue: Venue) -> None:
        """The call was acted on: change the answer's body or what the venue does next; ``DropConnection`` ends it."""

    def deliver(self, text: str, wire: Wire) -> None:
        """Send the answer or the frame, or do not."""
        wire.put(text)

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "fault": self.name,
            "call": self.call,
            "login_id": self.login_id,
            "times": self.times,
            "seconds": float(self.seconds),
            "code": self.code,
            "hits": self.hits,
        }


class DropBeforePurchase(Fault):
    """Closes the socket before the call is acted on: nothing happened."""

    name = "drop_before_purchase"
    only_call = "buy"

    async def before(self) -> None:
        raise DropConnection


class DropAfterPurchase(Fault):
    """Closes the socket after the call was acted on: it happened, and the caller does not know."""

    name = "drop_after_purchase"
    only_call = "buy"

    def done(self, body: dict[str, Any], venue: Venue) -> None:
        raise DropConnection


class LoseAnswer(Fault):
    """Acts on the call, sends no answer, and leaves the socket open."""

    name = "lose_answer"

    def deliver(self, text: str, wire: Wire) -> None:
        pass


class Delay(Fault):
    """Waits for `seconds` before the call is acted on."""

    name = "delay"

    async def before(self) -> None:
        await asyncio.sleep(float(self.seconds))


class DelayAnswer(Fault):
    """Acts on the call at once and sends the answer `seconds` later."""

    name = "delay_answer"

    def deliver(self, text: str, wire: Wire) -> None:
        wire.later(float(self.seconds), text)


class Duplicate(Fault):
    """Sends the answer twice."""

    name = "duplicate"

    def deliver(self, text: str, wire: Wire) -> None:
        wire.put(text)
        wire.put(text)


class Reorder(Fault):
    """Sends the answer after the next frame of the connection, `seconds` later at most."""

    name = "reorder"

    def deliver(self, text: str, wire: Wire) -> None:
        wire.behind(float(self.seconds), text)


class Refuse(Fault):
    """Refuses the call with `code` and `message`."""

    name = "refuse"

    async def before(self) -> None:
        raise Refusal(self.code, self.message)


class RateLimit(Fault):
    """Refuses the call as one too many."""

    name = "rate_limit"

    async def before(self) -> None:
        raise Refusal("RateLimit", "You have reached the rate limit for this call.")


class WrongProposal(Fault):
    """Answers with a price one unit above the one asked for. What is bought by its id costs what it really costs."""

    name = "wrong_proposal"
    only_call = "proposal"

    def done(self, body: dict[str, Any], venue: Venue) -> None:
        if isinstance(offer := body.get("proposal"), dict):
            price = offer["ask_price"] + 1
            offer |= {"ask_price": price, "display_value": str(price)}


class LateSettlement(Fault):
    """The contract bought expires when it should and is settled `seconds` later than that."""

    name = "late_settlement"
    only_call = "buy"

    def done(self, body: dict[str, Any], venue: Venue) -> None:
        if isinstance(bought := body.get("buy"), dict):
            venue.settle_late(bought["contract_id"], float(self.seconds))


class Refund(Fault):
    """The contract bought ends cancelled, its price returned, as where the market's data are missing."""

    name = "refund"
    only_call = "buy"

    def done(self, body: dict[str, Any], venue: Venue) -> None:
        if isinstance(bought := body.get("buy"), dict):
            venue.refund(bought["contract_id"])


class LoseFrames(LoseAnswer):
    """Frames the venue pushes are not sent."""

    name = "lose_frames"
    of_frames = True


class DelayFrames(DelayAnswer):
    """Frames the venue pushes are sent `seconds` later."""

    name = "delay_frames"
    of_frames = True


class DuplicateFrames(Duplicate):
    """Frames the venue pushes are sent twice."""

    name = "duplicate_frames"
    of_frames = True


class ReorderFrames(Reorder):
    """Frames the venue pushes are sent after the next one, `seconds` later at most."""

    name = "reorder_frames"
    of_frames = True


class Faults:
    """The rules in force, oldest first; the first that fits a call is used up by one."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._numbers = itertools.count(1)

    def add(self, rule: Mapping[str, Any]) -> Fault:
        """Raises ``ValueError`` with a sentence for a rule that makes no sense."""
        options = dict(rule)
        kind = Fault.kinds.get(str(options.pop("fault", "")))
        if kind is None:
            raise ValueError(f"fault is one of {', '.join(sorted(Fault.kinds))}")
        kinds: dict[str, tuple[type, ...]] = {
            "call": (str, type(None)),
            "login_id": (str, type(None)),
            "times": (int,),
            "seconds": (int, float, Decimal),
            "code": (str,),
            "message": (str,),
        }
        for name, value in options.items():
            if name not in kinds:
                raise ValueError(f"a rule has no {name}")
            if not isinstance(value, kinds[name]) or isinstance(value, bool):
                raise ValueError(f"{name} does not fit")
        if not 0 < options.get("times", 1) <= 1_000_000 or not 0 <= options.get("seconds", 1) <= 3600:
            raise ValueError("times is 1 to 1000000, seconds 0 to 3600")
        if options.get("call") is None:
            options["call"] = kind.only_call
        fault = kind(number=next(self._numbers), **options)
        self._rules.append(fault)
        return fault

    def all(self) -> list[Fault]:
        return list(self._rules)

    def clear(self) -> None:
        self._rules.clear()

    def take(self, call: str, login_id: str | None, *, of_frames: bool = False) -> Fault | None:
        """The rule for this call or pushed frame, used up by one; ``None`` if it goes its normal way."""
        for fault in self._rules:
            if (
                fault.times > 0
                and fault.of_frames == of_frames
                and fault.call in (None, call)
                and fault.login_id in (None, login_id)
            ):
                fault.times -= 1
                fault.hits += 1
                return fault
        return None
