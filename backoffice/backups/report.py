"""The steps of a drill as a table that is printed while it runs."""

from typing import Final

from backoffice.backups.verifications import Step

_WIDTH: Final = 52
HEAD: Final = f"{'step':<{_WIDTH}} {'seconds':>9} {'rows':>13} {'rows/s':>11}"


def line(step: Step) -> str:
    """One step; what is wrong stands below it."""
    rows = "" if step.rows is None else f"{step.rows:,}"
    rate = "" if step.rows_per_second is None else f"{step.rows_per_second:,}"
    mark = "  WRONG" if step.wrong else ""
    first = f"{step.name:<{_WIDTH}} {step.seconds:>9.2f} {rows:>13} {rate:>11}{mark}".rstrip()
    return "\n".join([first, *(f"    {sentence}" for sentence in step.wrong)])
