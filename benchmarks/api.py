"""The API: a list of 50 trades with account and client, beside a hand-written view that answers the same as JSON.

Both are asked in this process through the whole of Django (middleware, token, session), one after the other in
turns. The view reads `values_list` of one query and builds dictionaries; the API parses, validates and executes a
document with 28 fields for each trade. Rates are of one thread. The schema shows no client on a trade: both read the
client's row and neither answers it.

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
    from django.conf import settings
    from django.db import connection
    from django.test import Client, override_settings
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from backoffice import sessions
    from benchmarks.filling import fill
    from brokerage.models import Trade
    from graphql_api.persisted import id_of

    (ground.folder / "documents").mkdir()
    (ground.folder / "documents" / "Trades.graphql").write_text(QUERY)
    settings.CONFIG.graphql_documents = ground.folder / "documents"
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

    def registered() -> Any:
        return ask(documentId=id_of(QUERY))

    def by_hand() -> Any:
        return browser.get("/bench/trades", headers=headers)

    with override_settings(ROOT_URLCONF="benchmarks.by_hand"):
        found = generic().json()["data"]["trades"]["edges"]
        other = by_hand().json()["edges"]
        assert len(found) == len(other) == TRADES and found[0]["node"]["stake"] == other[0]["node"]["stake"]
        with CaptureQueriesContext(connection) as seen:
            generic()
            note = f"{len(seen)} queries"
        assert registered().json() == generic().json()
        # A document that is registered is kept for good; the generic one differs from it by a space.
        text, quick, reference = _rates(ground.seconds, lambda: ask(query=f"{QUERY} "), registered, by_hand)
    name, beside = f"{TRADES} trades with account and client", "`values_list` by hand"
    return [
        Figure(f"{name}, any document", text, "requests/s", beside, reference, 0.15, note),
        Figure(f"{name}, registered document", quick, "requests/s", beside, reference, 0.25, note),
    ]


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
