"""How often the venue may be asked: groups of calls, their limits, and whoever says when a request may leave.

The groups and limits of each generation stand beside it, in ``v3`` and ``v4``. Counting is not a connection's own
business, since the venue counts by account: whoever opens a connection may give it an ``Admission`` to ask first.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol

from brokerage.deriv.errors import RATE_LIMIT, TRADING_CALLS, NotAuthorized, Refused, Reprice, RetryLater

GENERAL: Final = "general"
# What goes before questions wherever it is asked: orders, and what makes and keeps a connection an account's own.
URGENT: Final = TRADING_CALLS | {"authorize", "otp", "ping"}
# A request that may leave later than this before its deadline would get its answer too late.
ANSWER_SECONDS: Final = 0.5

# Until when, by the event loop's clock, an answer is of any use to whoever asks; set by them for what they call.
ASKED_UNTIL: ContextVar[float | None] = ContextVar("asked_until", default=None)


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most ``count`` requests in any ``seconds``; the last ``reserved`` of them for what cannot wait."""

    count: int
    seconds: int = 60
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class Budgets:
    """What one generation allows each account: to which group a call belongs (else ``general``), and how much it may."""

    groups: Mapping[str, str]
    allowances: Mapping[str, Allowance]

    def group(self, call: str) -> str:
        return self.groups.get(call, GENERAL)


class Admission(Protocol):
    """Says when a request of one account may leave, and is told how the venue took it."""

    async def admit(self, call: str, *, until: float, urgent: bool) -> None:
        """Return when the request may leave, which counts it. ``until`` is by the event loop's clock.

        ``urgent`` is what goes before questions: purchases, sales, and what keeps a connection alive.
        Raises ``RetryLater`` (``BUDGET``) if there is no room for it in time: nothing was sent, nothing is counted.
        """

    def refused(self, call: str) -> None:
        """The venue said that this was one request too many. Returns at once and never raises, as below."""

    def accepted(self, call: str) -> None:
        """The venue took it."""


@asynccontextmanager
async def admitted(
    admission: Admission | None, call: str, seconds: float, *, urgent: bool = False
) -> AsyncIterator[None]:
    """Run one exchange with the venue, once it may begin; without an admission at once.

    It waits ``seconds`` at most, and no longer than anybody wants the answer: then ``RetryLater`` (``BUDGET``).
    Nothing is awaited once the answer is there: an answer to a purchase must not be lost on the way back.
    """
    if admission is None:
        yield
        return
    until = asyncio.get_running_loop().time() + seconds
    if (asked_until := ASKED_UNTIL.get()) is not None:
        until = min(until, asked_until - ANSWER_SECONDS)
    await admission.admit(call, until=until, urgent=urgent or call in URGENT)
    try:
        yield
    except RetryLater as found:
        if found.code == RATE_LIMIT:
            admission.refused(call)
        raise
    except (Reprice, Refused, NotAuthorized):
        admission.accepted(call)
        raise
    else:
        admission.accepted(call)
