"""`manage.py streams`: the process that owns every long-lived socket to the venue."""

import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from backoffice import metrics
from brokerage.deriv.opening import Credentials, open_client
from brokerage.streams.process import Streams
from brokerage.venue import addresses_of


class Command(BaseCommand):
    help = (
        "Keep one connection per trading account, follow its contracts, and answer the questions of actors."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        config = settings.CONFIG
        addresses = addresses_of(config)
        streams = Streams(
            lambda credentials, admission, hook: open_client(
                addresses, credentials, admission=admission, on_message=hook
            ),
            public=Credentials(config.deriv_generation),
        )
        metrics.write_in_background()
        asyncio.run(streams.run())
