"""The benchmarks run, and their figures come to stand where they belong. How fast anything is, is asserted nowhere."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from benchmarks import Figure, table
from benchmarks.__main__ import NAMES
from benchmarks.ground import Ground

PAGE = f"# Measurements\n\n| a row by hand | 1 |\n\n{table.BEGIN}\n{table.END}\nThe end.\n"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    found = tmp_path / "measurements.md"
    found.write_text(PAGE)
    return found


def test_figures_come_to_stand_between_the_marks_and_all_else_stays(page: Path) -> None:
    table.write(
        "ledger",
        [Figure("posting", 1000, "entries/s", "pgbench", 1250, 0.9, "two clients")],
        load=0.1,
        page=page,
    )
    table.write("audit", [Figure("saving", 2.5, "ms", goal=3)], load=0.1, page=page)
    table.write("audit", [Figure("saving", 3.5, "ms", goal=3)], load=0.1, page=page)
    table.write("books", [Figure("page", 90, "ms", "bare SQL", 2, limit=200)], load=0.1, page=page)
    text = page.read_text()
    assert text.startswith(PAGE.partition(table.BEGIN)[0])
    assert text.endswith(f"{table.END}\nThe end.\n")
    assert (
        "| posting | 1,000 entries/s | pgbench: 1,250 entries/s | 0.80 | ≥ 0.9 | **not met**; two clients |"
        in text
    )
    assert "| saving | 3.5 ms |  |  | ≤ 3 | **not met** |" in text
    assert "| page | 90 ms | bare SQL: 2 ms | 45.00 | ≤ 200 ms | met |" in text
    assert "2.5 ms" not in text
    assert text.index("### `audit`") < text.index("### `ledger`")
    assert table.about("ledger") in text


def test_a_page_without_the_marks_is_left_as_it_is(page: Path) -> None:
    page.write_text("# Measurements\n")
    with pytest.raises(ValueError, match="no place"):
        table.write("ledger", [], load=0.1, page=page)
    assert page.read_text() == "# Measurements\n"


@pytest.mark.parametrize(
    ("figure", "is_met"),
    [
        (Figure("rate", 90, "jobs/s", "bare", 100, 0.9), True),
        (Figure("rate", 89, "jobs/s", "bare", 100, 0.9), False),
        (Figure("rate", 12_000, "entries/s", goal=12_000), True),
        (Figure("wait", 10, "ms", goal=10), True),
        (Figure("wait", 11, "ms", goal=10), False),
        (Figure("wait", 11, "ms"), None),
        (Figure("page", 11, "ms", "bare SQL", 1, limit=11), True),
        (Figure("page", 11, "ms", "bare SQL", 1, limit=10), False),
        (Figure("page", 11, "ms", "bare SQL", 10, goal=1, limit=20), False),
    ],
)
def test_a_goal_is_of_the_ratio_a_limit_of_the_figure_and_of_times_the_lower_is_better(
    figure: Figure, is_met: bool | None
) -> None:
    assert figure.is_met is is_met


def test_every_benchmark_says_what_how_and_what_not() -> None:
    modules = {
        path.stem for path in Path(table.__file__).parent.glob("[a-z]*.py") if "def run(" in path.read_text()
    }
    assert modules == set(NAMES)
    for name in NAMES:
        assert "Not said:" in table.explained(name), name


@pytest.fixture
def small(redis: Any, transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """The test's own servers, for a moment of measuring; the processes that are started use them too."""
    from tests import world

    world.reference()
    url = f"{settings.DATABASE_URL.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "backoffice.settings")
    return Ground(tmp_path, url, settings.REDIS_URL, scale=0.01, has_references=False, has_processes=False)


@pytest.mark.parametrize(
    "name, scale", [("ledger", 0.01), ("jobs", 0.01), ("events", 0.01), ("audit", 0.01), ("books", 0.002)]
)
def test_a_benchmark_runs(name: str, scale: float, small: Ground) -> None:
    figures: list[Figure] = importlib.import_module(f"benchmarks.{name}").run(replace(small, scale=scale))
    assert figures
    assert all(figure.value >= 0 for figure in figures)
