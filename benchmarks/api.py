"""The API: a list of 50 trades with account and client, beside a hand-written view that answers the same as JSON.

Both are asked in this process through the whole of Django (middleware, token, session), one after the other in
turns. The view reads `values_list` of one query and builds dictionaries; the API parses, validates and executes a
document with 28 fields for each trade. Rates are of one thread.

Not said: the network, and how many threads or processes a machine can use.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from benchmarks import Figure
from benchmarks.ground import Ground

TRADES = 50
QUERY = """query { trades(first: 50) { edges { cursor node {
    id state why isFinal version side duration durationUnit contractId placedAt settledAt entrySpot exitSpot
    stake { amount currency } payout { amount currency } profit { amount currency }
    account { id kind loginId currency state isDefault balance { amount currency } available { amount currency } }
    instrument { symbol name }
} } pageInfo { hasNextPage endCursor } } }"""


def run(ground: Ground) -> list[Figure]:
    from django.db import connection
    from django.test import Client, override_settings
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from backoffice import sessions
    from benchmarks.filling import fill
    from brokerage.models import Trade

    fill(5000, clients=10)
    trade = Trade.objects.order_by("-id")[0]
    user = trade.client.membership_set.get().user
    headers = {"Authorization": f"Bearer {sessions.start(user, at=timezone.now()).access}"}
    browser = Client()

    def ask(**body: Any) -> Any:
        answer = browser.post("/graphql/", json.dumps(body), content_type="application/json", headers=headers)
        assert answer.status_code == 200, answer.content
        return answer

    def generic() -> Any:
        return ask(query=QUERY)

    def by_hand() -> Any:
        return browser.get("/bench/trades", headers=headers)

    with override_settings(ROOT_URLCONF="benchmarks.by_hand"):
        found = generic().json()["data"]["trades"]["edges"]
        other = by_hand().json()["edges"]
        assert len(found) == len(other) == TRADES and found[0]["node"]["stake"] == other[0]["node"]["stake"]
        with CaptureQueriesContext(connection) as seen:
            generic()
            note = f"{len(seen)} queries"
        ours, reference = _rates(ground.seconds, generic, by_hand)
    return [
        Figure("50 trades with account and client", ours, "requests/s", "`values_list` by hand", reference, 0.15, note),
    ]  # fmt: skip


def _rates(seconds: float, *ways: Callable[[], Any]) -> list[float]:
    """How often a second each way answers, in turns of a twentieth of the time, so that all meet the same machine."""
    done, spent = [0] * len(ways), [0.0] * len(ways)
    for _ in range(20):
        for number, way in enumerate(ways):
            begun = time.perf_counter()
            while (took := time.perf_counter() - begun) < seconds / 20:
                way()
                done[number] += 1
            spent[number] += took
    return [count / time_spent for count, time_spent in zip(done, spent, strict=True)]
