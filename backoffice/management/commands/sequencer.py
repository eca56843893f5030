"""`manage.py sequencer`: gives committed events their positions, within moments of their commit."""

import json
import logging
from typing import Any, Final

import redis
from django.core.management.base import BaseCommand
from django.db import DatabaseError, close_old_connections

from backoffice.cache import redis_client
from backoffice.heartbeat import beat, own_name
from backoffice.sequencer import sequence
from backoffice.stopping import Stopping

log = logging.getLogger(__name__)
POLL_SECONDS: Final = 0.5
BATCH: Final = 500


class Command(BaseCommand):
    help = "Sequence events until stopped. Any number may run; one works at a time."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = Stopping()
        nudges = None
        while not stop.asked:
            try:
                beat(own_name("sequencer"))
                while (done := sequence(BATCH)).positions:
                    message = {"position": done.positions[-1], "clients": sorted(done.clients)}
                    redis_client().publish("live:events", json.dumps(message))
                    if len(done.positions) < BATCH:
                        break
                if nudges is None:
                    nudges = redis_client().pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
                    nudges.subscribe("events:recorded")
                nudges.get_message(timeout=POLL_SECONDS)
                while nudges.get_message(timeout=0):
                    pass  # one pass serves every nudge that is waiting
            except redis.RedisError as found:
                # Only the nudges come through Redis: without it events are sequenced a poll later.
                log.warning("redis is away", extra={"reason": type(found).__name__})
                nudges = None
                stop.wait(POLL_SECONDS)
            except DatabaseError as found:
                log.warning("database is away", extra={"reason": type(found).__name__})
                stop.wait(POLL_SECONDS)
            close_old_connections()
