"""How the connections to the venue are, as every `streams` process tells it: for the console, never for a decision."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from backoffice.cache import redis_client

# Told every second; what a dead process told must not be taken for the present for long.
KEPT_SECONDS: Final = 5
PREFIX: Final = "venue:links:"
FROZEN: Final = "FEED_FROZEN"


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """One connection as the process that holds it sees it; instants are Unix seconds by that machine's clock."""

    is_up: bool
    since: float
    """When it came up, or went down."""
    connections: int
    """How many connections this process made for it."""
    heard_at: float | None
    """When the last frame came over the present connection."""
    generation: str = ""
    reason: str = ""
    """Why it is down."""


@dataclass(frozen=True, slots=True)
class Connections:
    """Over all `streams` processes: how many links are up, why others are down, and what the venue says of itself."""

    up: int
    down: Mapping[str, str]
    site: str
    processes: int = 0
    links: Mapping[str, LinkFacts] = field(default_factory=dict)

    @property
    def frozen(self) -> list[str]:
        """Links whose feed stood still and that are being connected anew."""
        return [link for link, reason in self.down.items() if reason == FROZEN]


def told(links: Mapping[str, LinkFacts], *, site: str) -> str:
    """One process's view, as it is kept in Redis under `PREFIX` and its name for `KEPT_SECONDS`."""
    return json.dumps({"links": {name: asdict(facts) for name, facts in links.items()}, "site": site})


def known() -> Connections:
    """What the processes alive told last; nothing up and an unknown site where none is alive.

    Of a link that two processes tell of, as while it passes from one to the other, the one that has it up counts.

    :raises redis.RedisError: if Redis cannot be asked.
    """
    client: Any = redis_client()
    names = list(client.scan_iter(match=f"{PREFIX}*", count=1000))
    views = [json.loads(text) for text in (client.mget(names) if names else []) if text]
    sites = {view["site"] for view in views} - {""}
    links: dict[str, LinkFacts] = {}
    for view in views:
        for name, row in view["links"].items():
            facts = LinkFacts(**row)
            if name not in links or facts.is_up:
                links[name] = facts
    return Connections(
        up=sum(facts.is_up for facts in links.values()),
        down={name: facts.reason for name, facts in links.items() if not facts.is_up},
        site=next((site for site in ("updating", "down") if site in sites), "up" if sites else ""),
        processes=len(views),
        links=links,
    )
