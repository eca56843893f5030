"""`manage.py streams`: the process that owns every long-lived socket to the venue."""

import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from brokerage.deriv.v3 import connect
from brokerage.streams.process import Streams


class Command(BaseCommand):
    help = (
        "Keep one connection per trading account, follow its contracts, and answer the questions of actors."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        config = settings.CONFIG
        asyncio.run(Streams(lambda: connect(config.venue_url, config.deriv_app_id)).run())
