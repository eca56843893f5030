"""How the connections to the venue are, as every `streams` process tells it: for the console, never for a decision."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backoffice.cache import redis_client

KEPT_SECONDS: Final = 10
PREFIX: Final = "venue:links:"
FROZEN: Final = "FEED_FROZEN"


@dataclass(frozen=True, slots=True)
class Connections:
    """Over all `streams` processes: how many links are up, why others are down, and what the venue says of itself."""

    up: int
    down: Mapping[str, str]
    site: str

    @property
    def frozen(self) -> list[str]:
        """Links whose feed stood still and that are being connected anew."""
        return [link for link, reason in self.down.items() if reason == FROZEN]


def told(*, up: int, down: Mapping[str, str], site: str) -> str:
    """One process's view, as it is kept in Redis under `PREFIX` and its name for `KEPT_SECONDS`."""
    return json.dumps({"up": up, "down": dict(down), "site": site})


def known() -> Connections:
    """What the processes alive told last; nothing up and an unknown site where none is alive.

    :raises redis.RedisError: if Redis cannot be asked.
    """
    client: Any = redis_client()
    names = list(client.scan_iter(match=f"{PREFIX}*", count=1000))
    views = [json.loads(text) for text in (client.mget(names) if names else []) if text]
    sites = {view["site"] for view in views} - {""}
    return Connections(
        up=sum(view["up"] for view in views),
        down={link: reason for view in views for link, reason in view["down"].items()},
        site=next((site for site in ("updating", "down") if site in sites), "up" if sites else ""),
    )
