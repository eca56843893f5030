"""How long the venue takes to answer, by generation and call."""

import time
from collections.abc import Callable
from typing import Any, Final

from backoffice import metrics
from brokerage.deriv.settings import Direction, Hook

SECONDS: Final = metrics.Histogram(
    "venue_call_seconds", "How long the venue took to answer, by generation, call and outcome",
    ("generation", "call", "outcome"),
)  # fmt: skip
# Questions that were never answered are forgotten, the oldest first.
KEPT: Final = 200


def timed(generation: str, hook: Hook, *, clock: Callable[[], float] = time.monotonic) -> Hook:
    """For a connection's ``on_message``: measures from each request to the first frame that answers it."""
    asked: dict[Any, tuple[str, float]] = {}

    def look(direction: Direction, frame: dict[str, Any]) -> None:
        hook(direction, frame)
        name = next(iter(frame), "")
        # Over HTTP a message is named by its method and path, and one is under way at a time for each.
        number = frame.get("req_id", name)
        if direction == "out":
            asked[number] = (_call(name), clock())
            if len(asked) > KEPT:
                del asked[next(iter(asked))]
        elif number in asked:
            call, begun = asked.pop(number)
            is_refused = "error" in frame or int(frame.get("status", 0)) >= 400
            SECONDS.observe(
                clock() - begun, generation=generation, call=call, outcome="refused" if is_refused else "done"
            )

    return look


def _call(name: str) -> str:
    """A call's name; over HTTP its method and the end of its path, which never holds anybody's id but of accounts."""
    method, is_over_http, path = name.partition(" ")
    if not is_over_http:
        return name
    parts = [part for part in path.split("/") if part and not any(sign.isdigit() for sign in part[1:])]
    return f"{method} {parts[-1]}" if parts else method
