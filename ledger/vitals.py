"""The ledger's vital sign: what breaks an invariant, as far as the last checks found."""

from typing import Final

from backoffice.metrics import Labelled
from backoffice.vitals import Vital
from ledger.control.invariants import latest


def _offenders() -> Labelled:
    return [({"invariant": row.invariant}, float(row.found)) for row in latest().order_by("invariant")]


INVARIANT_OFFENDERS: Final = Vital(
    name="invariant_offenders",
    help="What breaks an invariant of the books, by invariant",
    read=_offenders,
    most=0,
    wrong="{value} break the invariant {invariant}.",
    runbook="An invariant is broken.",
    lasting_seconds=1200,
)
