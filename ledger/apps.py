"""The app's registration with Django and with the ports of the layers below it."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"
    verbose_name = "Ledger"

    def ready(self) -> None:
        from backoffice import vitals
        from backoffice.backups.verifications import verifications
        from backoffice.state_diagrams import state_diagrams
        from ledger import verify
        from ledger.control import checks
        from ledger.states_document import balance_assertion, hold
        from ledger.vitals import INVARIANT_OFFENDERS

        state_diagrams.register("hold", hold, order=20)
        state_diagrams.register("balance_assertion", balance_assertion, order=21)
        vitals.register(INVARIANT_OFFENDERS, order=50)
        checks.register()
        verifications.register("ledger", verify.steps, order=20)
