"""Every fault once: nothing bought twice, nothing lost, every trade final, the mirror equal to the venue's books.

`make faults SEEDS=20` does the same with more seeds and writes `docs/faults.md`.
"""

import pytest

from tests.faults import matrix
from tests.faults.checks import check_books
from tests.faults.scenarios import SCENARIOS
from tests.faults.stage import stage

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
        yield rows, check_books()


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_client_is_charged_once_a_trade_is_bought_once_and_nothing_hangs(results, name):
    rows, _ = results
    assert rows[name].problems == []
    assert rows[name].findings.trades >= 1


def test_afterwards_the_ledger_and_the_event_log_hold(results):
    _, problems = results
    assert problems == []
