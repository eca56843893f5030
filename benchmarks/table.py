"""Figures as a table, and their place in `docs/measurements.md`."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from benchmarks import Figure
from benchmarks.ground import ROOT

PAGE: Final = ROOT / "docs" / "measurements.md"
BEGIN: Final = "<!-- written by make bench from here -->\n"
END: Final = "<!-- to here -->\n"
_HEAD: Final = "| what | figure | beside | ratio | goal | |\n|---|---:|---|---:|---:|---|\n"


def rows(figures: Sequence[Figure]) -> str:
    """A table's rows, one for each figure."""
    return "\n".join(_row(figure) for figure in figures)


def write(figures: Mapping[str, Sequence[Figure]]) -> None:
    """Put the figures in their place; parts that were not measured now stay as they are.

    :raises ValueError: if the page has no place for them.
    """
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    kept, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for what is measured")
    parts = _parts(kept) | {name: _part(name, found) for name, found in figures.items()}
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(parts[name] for name in sorted(parts)) + END + after)


def _parts(kept: str) -> dict[str, str]:
    found = {}
    for text in kept.split("### ")[1:]:
        name = text.partition("\n")[0].strip().strip("`")
        found[name] = "### " + text.rstrip() + "\n\n"
    return {name: text.removesuffix("\n") for name, text in found.items()}


def _part(name: str, figures: Sequence[Figure]) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)  # fmt: skip
    when = (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip() or 'unknown'}, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}, load before {os.getloadavg()[2]:.1f}"
    )
    return f"### `{name}`\n\n{when}\n\n{_HEAD}{rows(figures)}\n"


def _row(figure: Figure) -> str:
    beside = ""
    if figure.reference_value is not None:
        beside = f"{figure.reference}: {_number(figure.reference_value)} {figure.unit}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    sign = "" if figure.goal is None else ("≤ " if figure.is_lower_better else "≥ ")
    goal = "" if figure.goal is None else f"{sign}{figure.goal:g}"
    met = {None: "", True: "met", False: "**not met**"}[figure.is_met]
    told = "; ".join(part for part in (met, figure.note) if part)
    return f"| {figure.name} | {_number(figure.value)} {figure.unit} | {beside} | {ratio} | {goal} | {told} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
