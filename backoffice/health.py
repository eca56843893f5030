"""Is this deployment fit to serve? Each check answers with nothing, or with a sentence on what is wrong."""

import hmac
from collections.abc import Callable
from typing import Final

import redis
from django.core.management import get_commands
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from backoffice import metrics
from backoffice.cache import redis_client
from backoffice.configuration import configuration
from backoffice.heartbeat import alive
from backoffice.vitals import Vital, readings, vitals

# Processes a full deployment runs, by the kind that stands first in their heartbeat's name, and their command.
PROCESSES: Final = {
    "worker": "rundramatiq",
    "scheduler": "scheduler",
    "sequencer": "sequencer",
    "streams": "streams",
}

Check = Callable[[], str]


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT name FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout') AND setting = '0'"
                " ORDER BY name"
            )
            missing = [name for (name,) in cursor.fetchall()]
    except DatabaseError as error:
        return f"The database does not answer ({type(error).__name__})."
    if missing:
        return f"The database never gives up waiting: {' and '.join(missing)} not set. See docs/scale.md, through a pooler."
    return ""


def _redis() -> str:
    try:
        redis_client().ping()
    except redis.RedisError as error:
        return f"Redis does not answer ({type(error).__name__})."
    return ""


_migrated = False


def _migrations() -> str:
    """Asked until it is true once: a process that saw the whole schema will not see less of it."""
    global _migrated
    if _migrated:
        return ""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "The database does not answer."
    if missing:
        return f"{len(missing)} migrations are not applied; run `manage.py migrate`."
    _migrated = True
    return ""


def _process(kind: str) -> Check:
    def check() -> str:
        try:
            heard = [name for name in alive() if name.split(":")[0] == kind]
        except redis.RedisError:
            return "Redis does not answer."
        return "" if heard else f"No {kind} process has been heard of lately."

    return check


def _vital(vital: Vital) -> Check:
    def check() -> str:
        found, unread = readings([vital])
        return " ".join([*(reading.sentence for reading in found if not reading.is_well), *unread])

    return check


def checks() -> dict[str, Check]:
    """Every check by name. A process is expected where its command exists."""
    known = get_commands()
    processes = {kind: _process(kind) for kind, command in PROCESSES.items() if command in known}
    signs = {vital.name: _vital(vital) for vital in vitals if vital.is_ready}
    return {"database": _database, "redis": _redis, "migrations": _migrations, **processes, **signs}


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """This process answers; asks nothing else, so that a broken database does not get it killed."""
    return JsonResponse({"status": "live"})


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """200 if every check passes, else 503 with the sentence of each that does not."""
    found = {name: check() for name, check in checks().items()}
    good = not any(found.values())
    return JsonResponse(
        {
            "status": "ready" if good else "not ready",
            "checks": {name: {"ok": not wrong, "reason": wrong} for name, wrong in found.items()},
        },
        status=200 if good else 503,
    )


@require_safe
def show_metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text; asks for the bearer token where METRICS_TOKEN is set."""
    token = configuration().metrics_token
    given = request.headers.get("Authorization", "")
    if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return HttpResponse(
            "The bearer token of METRICS_TOKEN is needed.\n", status=401, content_type="text/plain"
        )
    try:
        text = metrics.render()
    except (redis.RedisError, DatabaseError) as error:
        return HttpResponse(
            f"Metrics are not at hand ({type(error).__name__}).\n", status=503, content_type="text/plain"
        )
    return HttpResponse(text, content_type="text/plain; version=0.0.4; charset=utf-8")
