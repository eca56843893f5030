"""`manage.py sync_schedule`: every actor that asks for a schedule has one."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from jobs.scheduler import sync_schedule


class Command(BaseCommand):
    help = "Adds the schedules that actors declare and the table lacks; what staff edited stays as it is."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        added = sync_schedule(timezone.now())
        if options["verbosity"]:
            self.stdout.write(f"{added} schedules added.")
