"""One simulator for the tests of verbs that ask the venue over HTTP."""

from collections.abc import Iterator

import pytest

from tests.brokerage.deriv.running import SimulatorProcess


@pytest.fixture(scope="session")
def _the_venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess(
        tmp_path_factory.mktemp("the-venue") / "venue.sqlite3", 20, "--no-limits"
    ) as process:
        yield process


@pytest.fixture
def the_venue(_the_venue: SimulatorProcess, settings) -> Iterator[SimulatorProcess]:
    """The deployment's venue; it behaves again afterwards."""
    settings.CONFIG = settings.CONFIG.model_copy(update={"deriv_sim_port": _the_venue.port})
    yield _the_venue
    _the_venue.control("DELETE", "faults")
    _the_venue.control("POST", "tokens", {"life_seconds": 3600})
