"""One simulator process for all tests of the protocol; each test has an account of its own."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.speaking import SPOKEN

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    data = tmp_path_factory.mktemp("venue") / "venue.sqlite3"
    options = ("--no-limits", "--app-markup", "4321=1.5", "--withdrawal-delay", "0.2")
    with SimulatorProcess(data, 20, *options) as process:
        yield process


@pytest.fixture
def account(venue: SimulatorProcess) -> dict[str, Any]:
    """A demo account with 10000.00 USD."""
    return venue.open_account(f"test-{next(_numbers)}")


@pytest.fixture(params=["v3", "v4"])
def generation(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have `client_of` speak each generation in turn."""
    token = SPOKEN.set(request.param)
    yield request.param
    SPOKEN.reset(token)
