"""`manage.py web`: console, API, health and metrics on one port."""

from typing import Any

import uvicorn
from django.core.management.base import BaseCommand

from backoffice import metrics, serving
from backoffice.configuration import configuration


class Command(BaseCommand):
    help = "Serves console, API (HTTP and WebSocket), health and metrics on HOST:PORT until it is stopped."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        config = configuration()
        metrics.write_in_background()
        serving.allow_many_files()
        uvicorn.run(
            "backoffice.asgi:application",
            host=config.host,
            port=config.port,
            log_config=None,
            access_log=False,  # the correlation middleware logs each request, without its query string
            server_header=False,
            proxy_headers=False,  # who is believed stands in TRUSTED_PROXIES: see `backoffice.addresses`
            http=serving.Http,
            ws=serving.WebSocket,
            ws_max_size=256 * 1024,
            ws_per_message_deflate=False,  # messages are small; compressing costs more than sending, and memory per socket
            ws_ping_interval=20,
            ws_ping_timeout=20,
            backlog=2048,
            timeout_graceful_shutdown=5,
            lifespan="on",
        )
