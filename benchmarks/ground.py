"""What benchmarks run on: PostgreSQL and Redis of their own, durable as in production, migrated, with reference data.

``BENCH_DATABASE_URL`` and ``BENCH_REDIS_URL`` name other servers; the database is then filled and left as it is.
"""

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks import Figure

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Ground:
    """Where everything is."""

    folder: Path
    database_url: str
    redis_url: str
    scale: float = 1.0
    """How long or how much is measured, against the usual; for trying a benchmark out."""
    has_references: bool = True
    """Whether other software may be installed to be measured beside ours."""
    has_processes: bool = True
    """Whether what is measured at once runs in processes of its own; else in threads, to try a benchmark out."""

    @property
    def seconds(self) -> float:
        """How long a rate is measured."""
        return 8.0 * self.scale

    def count(self, usual: int, least: int = 3) -> int:
        """How often something is measured."""
        return max(least, round(usual * self.scale))

    def at_once(self, work: Callable[..., Any], count: int, *arguments: Any) -> list[Any]:
        """What ``work(number, *arguments)`` answers in so many new processes, each with Django set up, begun together."""
        if self.has_processes:
            return _in_processes(work, count, arguments)
        with ThreadPoolExecutor(count) as threads:
            return list(threads.map(lambda number: _in_thread(work, number, arguments), range(count)))

    def environment_of(self, name: str, requirements: str) -> list[str] | None:
        """The Python of an environment with other software in it, made once; nothing where it cannot be had."""
        return _environment_of(name, requirements) if self.has_references else None

    def binary(self, name: str) -> str:
        """A tool of the PostgreSQL that is measured, or of this machine.

        :raises FileNotFoundError: if there is none.
        """
        from backoffice.embedded import postgres

        beside = postgres.tools(self.folder) / name
        found = str(beside) if beside.exists() else shutil.which(name)
        if found is None:
            raise FileNotFoundError(f"{name} is not installed")
        return found

    def psql_environment(self) -> dict[str, str]:
        """What PostgreSQL's own tools need to find the database."""
        import dj_database_url

        from backoffice.backups import tools

        found = dj_database_url.parse(self.database_url)
        given = {"host": found["HOST"], "port": found["PORT"], "user": found["USER"],
                 "password": found["PASSWORD"], "dbname": found["NAME"]}  # fmt: skip
        return tools.environment(given)


def say(text: str) -> None:
    """How far it is, for whoever waits."""
    print(text, flush=True)


def measure(name: str, scale: float = 1.0) -> list[Figure]:
    """The figures of one benchmark, on servers and in a process of its own: Django is set up once in each."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(_measure, name, scale).result()


def _measure(name: str, scale: float) -> list[Figure]:
    module = importlib.import_module(f"benchmarks.{name}")
    with ground(scale) as prepared:
        found: list[Figure] = module.run(prepared)
        return found


@contextmanager
def ground(scale: float = 1.0) -> Iterator[Ground]:
    """Servers that run, and Django set up on them; everything is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="nexus-bench-"))
    os.environ.update(DATA_DIR=str(folder), MODE="demo", DJANGO_SETTINGS_MODULE="backoffice.settings",
                      DEMO_TRADERS="false", LOG_LEVEL="WARNING", RATE_LIMITS="off",
                      SOCKETS_PER_ADDRESS="100000", SOCKETS_PER_USER="100000")  # fmt: skip
    from backoffice import embedded
    from backoffice.configuration import Configuration

    Configuration.model_config["env_file"] = None
    given = {name: os.environ.get(f"BENCH_{name}", "") for name in ("DATABASE_URL", "REDIS_URL")}
    folder.chmod(0o711)
    embedded.start(
        folder, postgresql=not given["DATABASE_URL"], redis=not given["REDIS_URL"], dies_with_us=True
    )
    # Whoever is started finds the same servers.
    os.environ["DATABASE_URL"] = given["DATABASE_URL"] or embedded.database_url(folder)
    os.environ["REDIS_URL"] = given["REDIS_URL"] or embedded.redis_url(folder)
    try:
        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        from tests import world

        call_command("migrate", verbosity=0)
        world.reference()
        yield Ground(folder, settings.DATABASE_URL, settings.REDIS_URL, scale)
    finally:
        from django.db import connections

        connections.close_all()
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _in_thread(work: Callable[..., Any], number: int, arguments: tuple[Any, ...]) -> Any:
    from django.db import connections

    try:
        return work(number, *arguments)
    finally:
        connections.close_all()


def _in_processes(work: Callable[..., Any], count: int, arguments: tuple[Any, ...]) -> list[Any]:
    context = get_context("spawn")
    begin = context.Barrier(count)
    answers = context.Queue()
    processes = [
        context.Process(target=_work, args=(begin, answers, work, number, arguments))
        for number in range(count)
    ]
    for process in processes:
        process.start()
    found = [answers.get(timeout=600) for _ in processes]
    for process in processes:
        process.join(30)
    if wrong := [text for ok, text in found if not ok]:
        raise RuntimeError(wrong[0])
    return [value for _, value in found]


def _work(
    begin: Any, answers: Any, work: Callable[..., Any], number: int, arguments: tuple[Any, ...]
) -> None:
    try:
        import django

        django.setup()
        from django.db import connection

        connection.ensure_connection()
        begin.wait(120)
        answers.put((True, work(number, *arguments)))
    except BaseException as found:  # noqa: BLE001  (whatever it is, the one who waits must hear of it)
        begin.abort()
        answers.put((False, f"{type(found).__name__}: {found}"))


def _environment_of(name: str, requirements: str) -> list[str] | None:
    folder = ROOT / ".data" / "bench" / name
    python = folder / "bin" / "python"
    made = folder / "made-from"
    if not made.exists() or made.read_text() != requirements:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, *requirements.split()], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return None
        made.write_text(requirements)
    return [str(python)]
