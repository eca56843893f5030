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
        from ledger import history, states_document, verify, withdrawals
        from ledger.control import checks, reconcilers
        from ledger.control.reconciliation import reconcilers as port
        from ledger.deposit_history import DEPOSITS
        from ledger.providers import providers
        from ledger.providers.bank_file import BankFile
        from ledger.providers.crypto import Crypto
        from ledger.providers.manual import Manual
        from ledger.vitals import INVARIANT_OFFENDERS
        from ledger.withdrawal_kind import WithdrawalKind

        state_diagrams.register("hold", states_document.hold, order=20)
        state_diagrams.register("deposit", states_document.deposit, order=21)
        state_diagrams.register("bank_statement", states_document.bank_statement, order=22)
        state_diagrams.register("bank_line", states_document.bank_line, order=23)
        state_diagrams.register("withdrawal", states_document.withdrawal, order=24)
        state_diagrams.register("payment", states_document.payment, order=25)
        state_diagrams.register("payment_batch", states_document.payment_batch, order=26)
        state_diagrams.register("coin_arrival", states_document.coin_arrival, order=27)
        approvals.kinds.register(WithdrawalKind.name, WithdrawalKind())
        decisions.rechecks.register("withdrawals", withdrawals.look_again)
        for provider in (BankFile(), Crypto(), Manual()):
            providers.register(provider.name, provider)
        port.register("banks", reconcilers.with_banks, order=10)
        port.register("custodian", reconcilers.with_custodian, order=20)
        port.register("manual", reconcilers.by_hand, order=30)
        state_diagrams.register("balance_assertion", states_document.balance_assertion, order=29)
        vitals.register(INVARIANT_OFFENDERS, order=50)
        checks.register()
        history.requests.register("deposit", DEPOSITS)
        verifications.register("ledger", verify.steps, order=20)
