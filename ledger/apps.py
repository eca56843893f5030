"""The app's registration with Django and with the ports of the layers below it."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"
    verbose_name = "Ledger"

    def ready(self) -> None:
        from backoffice.backups.verifications import verifications
        from backoffice.state_diagrams import state_diagrams
        from ledger import verify
        from ledger.states_document import hold

        state_diagrams.register("hold", hold, order=20)
        verifications.register("ledger", verify.steps, order=20)
