"""Figures as a table, and their place in `docs/measurements.md`."""

import ast
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks import Figure
from benchmarks.ground import ROOT

PAGE: Final = ROOT / "docs" / "measurements.md"
BEGIN: Final = "<!-- written by make bench from here -->\n"
END: Final = "<!-- to here -->\n"
_HEAD: Final = "| what | figure | beside | ratio | goal | |\n|---|---:|---|---:|---:|---|\n"


def explained(name: str) -> str:
    """What a benchmark measures, how, and what it does not say: the docstring of its module, which is not imported."""
    source = (Path(__file__).parent / f"{name}.py").read_text()
    return ast.get_docstring(ast.parse(source)) or ""


def about(name: str) -> str:
    """The first sentence of that."""
    return explained(name).split("\n")[0]


def load() -> float:
    """How many processes wanted a processor over the last minute."""
    return os.getloadavg()[0]


def rows(figures: Sequence[Figure]) -> str:
    """A table's rows, one for each figure."""
    return "\n".join(_row(figure) for figure in figures)


def write(name: str, figures: Sequence[Figure], *, load: float, page: Path = PAGE) -> None:
    """Put a benchmark's figures in their place on the page, with what it is; the others' and all else stay as they are.

    `load` is that of the machine before the run: what else was going on.

    :raises ValueError: if the page has no place for them.
    """
    before, begin, rest = page.read_text().partition(BEGIN)
    kept, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no place for what is measured")
    parts = _parts(kept) | {name: _part(name, figures, load)}
    page.write_text(
        before + BEGIN + "\n" + "\n".join(parts[each] for each in sorted(parts)) + "\n" + END + after
    )


def _parts(kept: str) -> dict[str, str]:
    """What stands there already, by the name of the benchmark."""
    found = {}
    for text in kept.split("### `")[1:]:
        found[text.partition("`")[0]] = "### `" + text.rstrip() + "\n"
    return found


def _part(name: str, figures: Sequence[Figure], load: float) -> str:
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)  # fmt: skip
    when = (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {asked.stdout.strip() or 'unknown'}, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}, load before {load:.1f}."
    )
    return f"### `{name}`\n\n{explained(name)}\n\n{when}\n\n{_HEAD}{rows(figures)}\n"


def _row(figure: Figure) -> str:
    beside = ""
    if figure.reference_value is not None:
        beside = f"{figure.reference}: {_number(figure.reference_value)} {figure.unit}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    sign = "≤ " if figure.is_lower_better else "≥ "
    limit = "" if figure.limit is None else f"{sign}{figure.limit:,g} {figure.unit}"
    goal = limit if figure.goal is None else f"{sign}{figure.goal:,g}"
    met = {None: "", True: "met", False: "**not met**"}[figure.is_met]
    told = "; ".join(part for part in (met, figure.note) if part)
    return f"| {figure.name} | {_number(figure.value)} {figure.unit} | {beside} | {ratio} | {goal} | {told} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
