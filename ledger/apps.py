"""The app's registration with Django and with the ports of the layers below it."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"
    verbose_name = "Ledger"

    def ready(self) -> None:
        from backoffice import vitals
        from backoffice.backups.verifications import verifications
        from backoffice.state_diagrams import state_diagrams
        from compliance import approvals, decisions
        from ledger import deposit_history, history, states_document, verify, withdrawal_history, withdrawals
        from ledger.bank import claims, importing
        from ledger.control import checks, explain
        from ledger.providers import providers
        from ledger.providers.bank_file import BankFile
        from ledger.vitals import INVARIANT_OFFENDERS
        from ledger.withdrawal_kind import WithdrawalKind

        state_diagrams.register("hold", states_document.hold, order=20)
        state_diagrams.register("deposit", states_document.deposit, order=21)
        state_diagrams.register("bank_statement", states_document.bank_statement, order=22)
        state_diagrams.register("bank_line", states_document.bank_line, order=23)
        state_diagrams.register("withdrawal", states_document.withdrawal, order=24)
        state_diagrams.register("payment", states_document.payment, order=25)
        state_diagrams.register("payment_batch", states_document.payment_batch, order=26)
        approvals.kinds.register(WithdrawalKind.name, WithdrawalKind())
        decisions.rechecks.register("withdrawals", withdrawals.look_again)
        providers.register(BankFile.name, BankFile())
        state_diagrams.register("balance_assertion", states_document.balance_assertion, order=29)
        vitals.register(INVARIANT_OFFENDERS, order=50)
        checks.register()
        history.requests.register("deposit", deposit_history.DEPOSITS)
        history.requests.register("withdrawal", withdrawal_history.WITHDRAWALS)
        explain.explains.register("deposit", deposit_history.explain)
        explain.explains.register("withdrawal", withdrawal_history.explain)
        checks.live_subjects.register("withdrawal", withdrawal_history.live)
        importing.payments.register("withdrawals", claims.known)
        verifications.register("ledger", verify.steps, order=20)
