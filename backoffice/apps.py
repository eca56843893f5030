"""The kernel as a Django app."""

from django.apps import AppConfig


class BackofficeConfig(AppConfig):
    name = "backoffice"
    verbose_name = "Kernel"

    def ready(self) -> None:
        from backoffice import (
            monitoring,  # noqa: F401  (its documents)
            vitals,
        )
        from backoffice.own_vitals import EVENTS_WAITING, PROCESSES_MISSING, STUCK

        vitals.register(PROCESSES_MISSING, order=10)
        vitals.register(EVENTS_WAITING, order=20)
        vitals.register(STUCK, order=30)
