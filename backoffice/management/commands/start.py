"""`manage.py start`: everything, under one supervisor (`make run`)."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from backoffice.configuration import Configuration
from backoffice.embedded.processes import EmbeddedServerError
from backoffice.running.ports import PortTaken
from backoffice.running.supervisor import AlreadyRunning, Supervisor


class Command(BaseCommand):
    help = "Starts servers, processes and demo data, and keeps them running until Ctrl-C."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            Supervisor(Configuration()).run()
        except (AlreadyRunning, PortTaken, EmbeddedServerError) as refusal:
            self.stderr.write(str(refusal))
            sys.exit(1)
