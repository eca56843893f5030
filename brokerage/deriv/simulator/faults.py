"""Misbehavior on demand: rules that make a call go wrong, a number of times, for one account or for all.

A fault acts at two moments: ``before`` the engine sees the call and ``after`` it has acted. A new kind is a
subclass with a ``name``; it becomes available by being defined.
"""

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from brokerage.deriv.simulator.books import Refusal


class DropConnection(Exception):
    """Close this socket now, and send nothing more."""


class SwallowAnswer(Exception):
    """Send no answer to this call."""


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

    def __init_subclass__(cls) -> None:
        Fault.kinds[cls.name] = cls

    async def before(self) -> None:
        """Raise ``Refusal`` or ``DropConnection`` to keep the engine from acting."""

    def after(self) -> None:
        """Raise ``DropConnection`` or ``SwallowAnswer`` to keep the answer from the caller."""

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

    async def before(self) -> None:
        raise DropConnection


class DropAfterPurchase(Fault):
    """Closes the socket after the call was acted on: it happened, and the caller does not know."""

    name = "drop_after_purchase"

    def after(self) -> None:
        raise DropConnection


class LoseAnswer(Fault):
    """Acts on the call, sends no answer, and leaves the socket open."""

    name = "lose_answer"

    def after(self) -> None:
        raise SwallowAnswer


class Delay(Fault):
    """Waits for `seconds` before the call is acted on."""

    name = "delay"

    async def before(self) -> None:
        await asyncio.sleep(float(self.seconds))


class Refuse(Fault):
    """Refuses the call with `code` and `message`."""

    name = "refuse"

    async def before(self) -> None:
        raise Refusal(self.code, self.message)


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
        if options.get("call") is None and kind.name.endswith("_purchase"):
            options["call"] = "buy"
        fault = kind(number=next(self._numbers), **options)
        self._rules.append(fault)
        return fault

    def all(self) -> list[Fault]:
        return list(self._rules)

    def clear(self) -> None:
        self._rules.clear()

    def take(self, call: str, login_id: str | None) -> Fault | None:
        """The rule for this call, used up by one; ``None`` if the call goes its normal way."""
        for fault in self._rules:
            if fault.times > 0 and fault.call in (None, call) and fault.login_id in (None, login_id):
                fault.times -= 1
                fault.hits += 1
                return fault
        return None
