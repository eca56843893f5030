"""``manage.py deriv_simulator``: a venue that speaks Deriv's protocol, with books of its own."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from brokerage.deriv.simulator.options import add_arguments, start

SETTINGS = {
    "port": "DERIV_SIM_PORT",
    "host": "DERIV_SIM_HOST",
    "data": "DERIV_SIM_DATA",
    "control_secret": "DERIV_SIM_CONTROL_SECRET",
}


class Command(BaseCommand):
    help = "Run a venue that speaks Deriv's protocol: no money, no market, no account needed."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        present = {name: getattr(settings, setting, None) for name, setting in SETTINGS.items()}
        add_arguments(parser, {name: value for name, value in present.items() if value is not None})

    def handle(self, *args: Any, **options: Any) -> None:
        if reason := start(options):
            raise CommandError(reason, returncode=1)
