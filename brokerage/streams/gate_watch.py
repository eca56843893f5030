"""The order gate as this process knows it: read again and again, and never trusted when it is old."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from django.db import DatabaseError

from brokerage import gate
from brokerage.deriv.errors import Halted, NotSent
from brokerage.gate import FRESH_SECONDS, READ_SECONDS, Closed

log = logging.getLogger(__name__)


class GateWatch:
    """Reads the gate all the time; says whether a purchase or a sale may leave at this very moment."""

    def __init__(self, read: Callable[[], list[Closed]]) -> None:
        self._read = read
        self._closed: list[Closed] = []
        self._begun = float("-inf")
        self._again = asyncio.Condition()

    async def watch(self) -> None:
        """One reading. The clock is looked at before it begins: what is committed later may not be in it."""
        begun = time.monotonic()
        try:
            self._closed, self._begun = await asyncio.to_thread(self._read), begun
        except DatabaseError as found:
            # Nothing can be recorded either: purchases wait until the gate is known again.
            log.warning("order gate is not known", extra={"reason": type(found).__name__})
        async with self._again:
            self._again.notify_all()
        await asyncio.sleep(READ_SECONDS)

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() - self._begun < FRESH_SECONDS

    async def fresh(self, still_wanted: Callable[[], bool]) -> None:
        """Wait until the gate is known, while anybody still wants the answer."""
        while not self.is_fresh and still_wanted():
            async with self._again:
                try:
                    await asyncio.wait_for(self._again.wait(), FRESH_SECONDS)
                except TimeoutError:
                    continue

    def check(self, call: str, arguments: Mapping[str, Any]) -> None:
        """The last look: no waiting between this and the wire.

        :raises Halted: if the gate lets it not through.
        :raises NotSent: if the gate is not known freshly enough.
        """
        if not self.is_fresh:
            raise NotSent("GATE_UNKNOWN", "The order gate cannot be read at the moment.")
        try:
            gate.check_may_send(self._closed, **arguments["gate"], is_sale=call == "sell")
        except (gate.TradingHalted, gate.TradingReducing) as found:
            raise Halted(found.code, found.message) from None
