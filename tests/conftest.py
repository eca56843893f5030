"""One pair of embedded servers for each run, a database and a Redis database for each worker.

Where DATABASE_URL / REDIS_URL are set, those servers are used (Redis: logical databases 1 and up of it). The
developer's own `.data` and `.env` are never touched or read. Django's settings are loaded here, after the
environment is made, which is why pyproject.toml names no settings module.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings

from backoffice import embedded
from backoffice.configuration import Configuration

if TYPE_CHECKING:
    from pytest_django import DjangoDbBlocker
    from redis import Redis

    from tests.brokerage.deriv.running import SimulatorProcess
    from tests.ledger.cards import Shop
    from tests.ledger.custodian import CustodianProcess
    from tests.running import LiveApp, Running

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")  # "gw0" in a worker of pytest-xdist


def _make_environment() -> None:
    """Decide every setting before Django reads one; workers inherit what the first process decided."""
    if settings.configured:
        raise pytest.UsageError("Unset DJANGO_SETTINGS_MODULE: tests/conftest.py loads the settings itself.")
    Configuration.model_config["env_file"] = None
    if not WORKER:
        data_dir = Path(tempfile.mkdtemp(prefix="nexus-test-"))
        data_dir.chmod(0o711)
        os.environ["DATA_DIR"] = str(data_dir)
        os.environ["MODE"] = "demo"
        os.environ["NEXUS_TEST_EMBEDDED"] = ",".join(
            name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)
        )
        os.environ["DATABASE_URL"] = os.environ.get("DATABASE_URL") or embedded.database_url(data_dir)
        os.environ["NEXUS_TEST_REDIS"] = os.environ.get("REDIS_URL") or embedded.redis_url(data_dir)
    number = int(WORKER.removeprefix("gw")) + 2 if WORKER else 1
    os.environ["REDIS_URL"] = _with_database(os.environ["NEXUS_TEST_REDIS"], number)
    os.environ["RATE_LIMITS"] = "off"  # the tests of limits set their own
    os.environ["DJANGO_SETTINGS_MODULE"] = "backoffice.settings"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    del os.environ[
        "DJANGO_SETTINGS_MODULE"
    ]  # else a worker's pytest-django would load settings before this file


def _with_database(url: str, number: int) -> str:
    if url.startswith("unix:"):
        return f"{url.partition('?')[0]}?db={number}"
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{number}"


_make_environment()


def pytest_configure(config: pytest.Config) -> None:
    from tests import reference

    reference.put_back_after_each_test_that_commits()
    wanted = os.environ["NEXUS_TEST_EMBEDDED"]
    if not WORKER and wanted:
        embedded.start(
            Path(os.environ["DATA_DIR"]),
            postgresql="DATABASE_URL" in wanted,
            redis="REDIS_URL" in wanted,
            durable=False,
            dies_with_us=True,
        )


def pytest_unconfigure(config: pytest.Config) -> None:
    if not WORKER:
        embedded.stop(Path(os.environ["DATA_DIR"]))
        shutil.rmtree(os.environ["DATA_DIR"], ignore_errors=True)


@pytest.fixture
def redis() -> Iterator["Redis"]:
    """This worker's own Redis database, empty before and after the test."""
    from backoffice.cache import redis_client

    client = redis_client()
    client.flushdb()
    yield client
    client.flushdb()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: "DjangoDbBlocker") -> Iterator[None]:
    """Reference data once per test database: every test begins with what a new deployment has."""
    from django.db import connection

    from tests import reference, world

    with django_db_blocker.unblock():
        here = str(connection.settings_dict["NAME"]).startswith("test_")  # else no test here needs a database
        if here:
            world.reference()
            reference.keep()
    yield
    if here:
        # Threads of in-process workers end with their connections still open; the database could not be dropped.
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def reference_data(db: None) -> None:
    """Roles, currencies and instruments; loaded again after a transactional test has emptied the tables."""
    from tests import world

    world.reference()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that no processor waits for another at the end."""
    long = (
        "tests/faults/",
        "tests/stories/",
        "tests/browser/",
        "tests/ledger/test_invariants",
        "tests/backoffice/test_supervisor",
    )
    items.sort(
        key=lambda item: next((n for n, name in enumerate(long) if item.nodeid.startswith(name)), len(long))
    )
    _with_deployment.update(item.path for item in items if "deployment" in getattr(item, "fixturenames", ()))


_with_deployment: set[Path] = set()
_deployments: list["Running"] = []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Processes that stand by would take a fifth of the machine from all the tests that do not ask for them."""
    if item.path not in _with_deployment:
        for one in _deployments:
            one.stop()


@pytest.fixture(scope="session")
def _deployment(
    django_db_setup: None, django_db_blocker: "DjangoDbBlocker", tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Running"]:
    from tests.running import running

    with running(tmp_path_factory.mktemp("deployment"), django_db_blocker) as found:
        _deployments.append(found)
        yield found


@pytest.fixture
def deployment(_deployment: "Running", django_db_blocker: "DjangoDbBlocker") -> Iterator["Running"]:
    """Every process of a deployment, running. Tests share it, each with a client of its own, and see its database."""
    from tests.running import inside

    _deployment.go_on()
    with inside(_deployment.database, django_db_blocker):
        yield _deployment


@pytest.fixture
def app(deployment: "Running") -> "LiveApp":
    """A client app of its own on the running deployment, its demo account active."""
    from tests.running import LiveApp

    made = LiveApp(deployment).sign_up()
    made.wait_for_account()
    return made


@pytest.fixture(scope="session")
def _the_venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator["SimulatorProcess"]:
    from tests.brokerage.deriv.running import SimulatorProcess

    with SimulatorProcess(
        tmp_path_factory.mktemp("the-venue") / "venue.sqlite3", 20, "--no-limits"
    ) as process:
        yield process


@pytest.fixture
def the_venue(_the_venue: "SimulatorProcess", settings: Any) -> Iterator["SimulatorProcess"]:
    """The simulator as the deployment's venue, for verbs that ask it over HTTP; it behaves again afterwards."""
    settings.CONFIG = settings.CONFIG.model_copy(update={"deriv_sim_port": _the_venue.port})
    yield _the_venue
    _the_venue.control("DELETE", "faults")
    _the_venue.control("POST", "tokens", {"life_seconds": 3600})


@pytest.fixture(scope="session")
def _stripe_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from tests.ledger import cards

    with cards.server(tmp_path_factory.mktemp("stripe")) as url:
        yield url


@pytest.fixture
def shop(_stripe_server: str, settings: Any) -> "Shop":
    """Deposits by card are taken by a Stripe-compatible server; what clients and Stripe itself do there."""
    from tests.ledger import cards

    settings.CONFIG = cards.configured(settings.CONFIG, _stripe_server)
    return cards.Shop(_stripe_server)


@pytest.fixture(scope="session")
def _the_custodian(tmp_path_factory: pytest.TempPathFactory) -> Iterator["CustodianProcess"]:
    from tests.ledger.custodian import CustodianProcess

    with CustodianProcess(tmp_path_factory.mktemp("the-custodian") / "books.sqlite3") as process:
        yield process


@pytest.fixture
def the_custodian(_the_custodian: "CustodianProcess", settings: Any) -> Iterator["CustodianProcess"]:
    """The simulator as the deployment's custodian; a block is mined when the test says so. It behaves again afterwards."""
    settings.CONFIG = settings.CONFIG.model_copy(update={"custodian_url": _the_custodian.url})
    yield _the_custodian
    _the_custodian.ask("DELETE", "simulator/faults")
