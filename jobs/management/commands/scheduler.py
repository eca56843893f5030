"""`manage.py scheduler`: sends what is due by the clock. Any number may run."""

import logging
from typing import Any, Final

import redis
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection
from django.utils import timezone

from backoffice.heartbeat import Beating, own_name
from backoffice.logs import bind
from backoffice.stopping import Stopping
from jobs.scheduler import run_due, sync_schedule

_TICK_SECONDS: Final = 0.5
_AFTER_ERROR_SECONDS: Final = 2.0
_log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Sends each job that is due, once however many schedulers run, until it is stopped."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = Stopping()
        beating = Beating(own_name("scheduler")).start()
        sync_schedule(timezone.now())
        rest = 0.0
        while not stopping.wait(rest):
            with bind():
                rest = self._once()
        beating.stop()

    @staticmethod
    def _once() -> float:
        """One round; returns how many seconds to rest."""
        try:
            run_due(timezone.now())
        except (DatabaseError, redis.RedisError) as error:
            _log.warning("schedule waits: %s", error)
            connection.close()
            return _AFTER_ERROR_SECONDS
        return _TICK_SECONDS
