"""Every fault once: nothing bought twice, nothing lost, every trade final, the mirror equal to the venue's books.

`make faults SEEDS=20` does the same with more seeds and writes `docs/faults.md`.
"""

from dataclasses import dataclass

import pytest

from tests.faults import matrix
from tests.faults.checks import Findings, check, check_books
from tests.faults.scenarios import SCENARIOS
from tests.faults.stage import Stage, stage
from tests.faults.unguarded import GUARDS
from tests.running import until

pytestmark = pytest.mark.processes
SEED = 7


@pytest.fixture(scope="module")
def results(django_db_setup, django_db_blocker, tmp_path_factory):
    from tests.running import inside

    with (
        stage(tmp_path_factory.mktemp("faults"), django_db_blocker) as found,
        inside(found.running.database, django_db_blocker),
    ):
        rows = matrix.rows(found, SCENARIOS.values(), [SEED])
        yield Results(rows, check_books(), twins(found))


@dataclass
class Results:
    rows: dict[str, matrix.Row]
    books: list[str]
    twins: dict[str, Findings]


def twins(found: Stage) -> dict[str, Findings]:
    """The same faults with one guard taken away for the client they fall on."""
    clients = {guard: found.client(number) for number, guard in enumerate(GUARDS)}
    for guard, client in clients.items():
        found.arm(client, guard)
        if guard != "off_settle":
            found.fault(client, "drop_after_purchase")
        client.place()
    waits = {"off_send_once": ("OPEN",), "off_look_first": ("NEVER_PLACED",), "off_settle": ("OPEN",)}
    for guard, client in clients.items():
        client.reaches(client.placed[0], *waits[guard])
    # The contract is over by now at the venue, which is all that is waited for.
    login = clients["off_settle"].login_id
    until(lambda: found.running.books(login)["contracts"][0]["status"] != "open", "the contract is over", 30)
    return {guard: check(found.running, [client.login_id]) for guard, client in clients.items()}


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_client_is_charged_once_a_trade_is_bought_once_and_nothing_hangs(results, name):
    assert results.rows[name].problems == []
    assert results.rows[name].findings.trades >= 1


def test_afterwards_the_ledger_and_the_event_log_hold(results):
    assert results.books == []


# ── the twins: without its guard each promise is broken, and the check above says so ────────────────────────────


def test_twin_a_purchase_sent_again_is_found_bought_twice(results):
    (found,) = results.twins["off_send_once"].bought_twice
    assert "was bought and belongs to no trade" in found


def test_twin_a_purchase_given_up_without_looking_is_found_lost(results):
    found = results.twins["off_look_first"]
    assert len(found.bought_twice) == 1  # what belongs to no trade of ours may be a second purchase
    assert found.unequal


def test_twin_a_settlement_not_recorded_is_found_hanging(results):
    (found,) = results.twins["off_settle"].stuck
    assert "is open" in found
