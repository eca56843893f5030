"""The app's registration with Django; with the ports of the layers below it in `ledger.registrations`."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"
    verbose_name = "Ledger"

    def ready(self) -> None:
        from ledger import registrations

        registrations.register()
