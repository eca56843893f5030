"""What holds for the whole venue for a while: it is updating, its feed stands still, it is away for a restart."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from brokerage.deriv.simulator.connected import Connected

logger = logging.getLogger(__name__)
REMEMBERED: Final = 20_000


class Conditions:
    """The conditions in force, who is connected, and the calls that arrived lately. ``close_all`` ends every socket at once.

    - ``updating``: the site says so to whoever follows its status; at the end every socket is closed and it is up again
    - ``frozen_feed``: nothing is pushed on any socket, while the books go on and calls are answered
    - ``restart``: every socket is closed, none is let in, and the books are read again from their file
    """

    KINDS: Final = ("updating", "frozen_feed", "restart")

    def __init__(self, reload: Callable[[], None]) -> None:
        self._reload = reload
        self._until: dict[str, float] = {}
        self.close_all: Callable[[], None] = lambda: None
        self.tell_status: Callable[[], None] = lambda: None
        self.close_moved: Callable[[], None] = lambda: None
        self.connected = Connected()
        # Which call, of which account, when by the machine's clock.
        self.received: deque[tuple[str, str | None, float]] = deque(maxlen=REMEMBERED)

    def begin(self, condition: str, seconds: float) -> None:
        """Put a condition in force for so long, from now on; one in force already is extended.

        Raises ``ValueError`` with a sentence for what there is not.
        """
        if condition not in self.KINDS:
            raise ValueError(f"condition is one of {', '.join(self.KINDS)}")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 3600:
            raise ValueError("seconds is above 0 and 3600 at most")
        logger.info("%s for %s s", condition, seconds)
        self._until[condition] = time.time() + seconds
        loop = asyncio.get_running_loop()
        if condition == "updating":
            self.tell_status()
            loop.call_later(seconds, self._updated)
        elif condition == "restart":
            self.close_all()
            self._reload()

    def holds(self, condition: str) -> bool:
        return self._until.get(condition, 0.0) > time.time()

    @property
    def site_status(self) -> str:
        return "updating" if self.holds("updating") else "up"

    def clear(self) -> None:
        """Everything is as it should be from now on."""
        was_updating = self.holds("updating")
        self._until.clear()
        if was_updating:
            self.tell_status()

    def as_json(self) -> list[dict[str, Any]]:
        now = time.time()
        return [
            {"condition": name, "seconds_left": round(until - now, 3)}
            for name, until in self._until.items()
            if until > now
        ]

    def _updated(self) -> None:
        if not self.holds("updating") and self._until.pop("updating", None) is not None:
            self.close_all()
