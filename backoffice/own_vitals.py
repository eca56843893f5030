"""The kernel's own vital signs: its processes, and the sealing of events."""

from typing import Final

from django.apps import apps
from django.core.management import get_commands
from django.db import connection
from django.db.models import CharField, Count, Value
from django.utils import timezone

from backoffice import patience
from backoffice.heartbeat import alive
from backoffice.metrics import Labelled
from backoffice.vitals import Vital


def _missing() -> Labelled:
    from backoffice.health import PROCESSES

    heard, known = {name.split(":")[0] for name in alive()}, get_commands()
    return [
        ({"kind": kind}, float(kind not in heard)) for kind, command in PROCESSES.items() if command in known
    ]


def _waiting() -> Labelled:
    """The age of the oldest event without a position, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM clock_timestamp() - recorded_at) FROM backoffice_event "
            "WHERE position IS NULL ORDER BY id LIMIT 1"
        )
        row = cursor.fetchone()
    return [({}, max(float(row[0]), 0.0) if row else 0.0)]


def _stuck() -> Labelled:
    """How many rows of each kind are past the age their state allows."""
    now = timezone.now()
    kinds = [model for model in apps.get_models() if hasattr(model, "PATIENCE")]
    counted = [
        model._default_manager.filter(patience.late(model, now))
        .order_by()
        .values(kind_label=Value(str(model._meta.verbose_name_plural), CharField()))
        .annotate(many=Count("pk"))
        for model in kinds
    ]
    found = (
        {str(row["kind_label"]): row["many"] for row in counted[0].union(*counted[1:], all=True)}
        if counted
        else {}
    )
    names = [str(model._meta.verbose_name_plural) for model in kinds]
    return [({"what": name}, float(found.get(name, 0))) for name in sorted(names)]


PROCESSES_MISSING: Final = Vital(
    name="processes_missing",
    help="Kinds of process of which none was heard lately",
    read=_missing,
    most=0,
    wrong="No {kind} process has been heard of lately.",
    runbook="A process is missing.",
)
EVENTS_WAITING: Final = Vital(
    name="events_waiting_seconds",
    help="Age of the oldest event that waits for its position",
    read=_waiting,
    most=30,
    wrong="Events wait for their position, the oldest for {value} s: the sequencer lags.",
    runbook="The sequencer lags.",
    is_ready=True,
)
STUCK: Final = Vital(
    name="stuck_rows",
    help="Rows past the age their state allows, by kind",
    read=_stuck,
    most=0,
    wrong="{value} {what} are past the age their state allows.",
    runbook="Something is stuck.",
    lasting_seconds=300,
)
