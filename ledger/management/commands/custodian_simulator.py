"""``manage.py custodian_simulator``: a custodian of coins with books of its own."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.custodian.simulator.options import add_arguments, start


class Command(BaseCommand):
    help = "Run a custodian of coins: it gives addresses, sees coins come, and pays out. No chain, no account needed."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        config = settings.CONFIG
        add_arguments(parser, {
            "port": config.custodian_sim_port, "data": config.data_dir / "custodian-simulator.sqlite3",
            "token": config.custodian_token,
        })  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        if reason := start(options):
            raise CommandError(reason, returncode=1)
