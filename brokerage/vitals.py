"""The vital signs of the connections to the venue, as `streams` tells of them."""

import time
from typing import Final

from backoffice.metrics import Labelled
from backoffice.vitals import Vital
from brokerage import connections
from brokerage.venue import PUBLIC


def _down() -> Labelled:
    return [({}, float(len(connections.known().down)))]


def _silent() -> Labelled:
    """How long the public prices' link has told nothing, or has been down; nothing where nobody holds it."""
    found = connections.known().links.get(PUBLIC)
    if found is None:
        return []
    since = found.heard_at if found.is_up and found.heard_at else found.since
    return [({}, max(time.time() - since, 0.0))]


LINKS_DOWN: Final = Vital(
    name="venue_links_down",
    help="Connections to the venue that are down",
    read=_down,
    most=0,
    wrong="{value} connections to the venue are down.",
    runbook="A venue link is down.",
)
# A socket that is well answers a ping every 30 seconds.
FEED_SILENT: Final = Vital(
    name="venue_feed_silent_seconds",
    help="How long the venue's public prices have told nothing",
    read=_silent,
    most=75,
    wrong="The venue's prices have told nothing for {value} s.",
    runbook="The venue is updating, or its feed stands still.",
    is_ready=True,
)
