"""The venue's heartbeat: one loop that lets time pass and tells the protocols what changed.

There is no task per contract or per subscriber. The loop wakes with each tick and with each contract that falls
due, and never more than 100 times a second.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from brokerage.deriv.simulator.catalog import SYMBOLS
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.events import Event
from brokerage.deriv.simulator.prices import Quote

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """One protocol generation's side of the news."""

    def watched(self) -> set[str]:
        """The symbols anyone listens to."""

    def happened(self, events: list[Event], at: float) -> None:
        """Accounts and contracts have changed."""

    def ticked(self, quotes: list[Quote], at: float) -> None:
        """New ticks of one symbol, oldest first."""


class Pulse:
    """The simulator's heartbeat: gives out due ticks and settles due contracts."""

    SHORTEST = 0.01
    MOST_TICKS = 1000
    """After a stall, a symbol's stream skips to the last so many ticks."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.listeners: list[Listener] = []
        self.clocks: list[Callable[[float], None]] = []
        """Other parts of the venue for which time passes."""
        self._seen = {code: engine.market.index_at(code, time.time()) for code in SYMBOLS}

    def flush(self, at: float) -> None:
        """Pass on what the engine has to tell."""
        if events := self.engine.drain():
            for listener in self.listeners:
                listener.happened(events, at)

    def beat(self, at: float) -> None:
        """Let time pass until ``at``."""
        self.engine.advance(at)
        for let_pass in self.clocks:
            let_pass(at)
        self.flush(at)
        watched = [(listener, listener.watched()) for listener in self.listeners]
        for code, seen in self._seen.items():
            last = self.engine.market.index_at(code, at)
            if last <= seen:
                continue
            self._seen[code] = last
            watching = [listener for listener, codes in watched if code in codes]
            if watching:
                first = max(seen + 1, last - self.MOST_TICKS)
                quotes = list(self.engine.market.quotes(code, first, last))
                for listener in watching:
                    listener.ticked(quotes, at)

    def pause(self, at: float) -> float:
        """Seconds until there is something to do."""
        market = self.engine.market
        due = min(market.time_of(code, seen + 1) for code, seen in self._seen.items())
        if (contract_due := self.engine.next_due()) is not None:
            due = min(due, contract_due)
        return max(due - at, self.SHORTEST)

    async def run(self) -> None:
        """Until cancelled. A failing beat is logged and the next one tries again: the venue stays up."""
        while True:
            await asyncio.sleep(self.pause(time.time()))
            try:
                self.beat(time.time())
            except Exception:
                logger.exception("a beat of the simulator failed")
                await asyncio.sleep(0.5)
