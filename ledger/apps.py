"""The app's registration with Django and with the ports of the layers below it."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"
    verbose_name = "Ledger"

    def ready(self) -> None:
        from backoffice import vitals
        from backoffice.backups.verifications import verifications
        from backoffice.starting_data import starting_data
        from backoffice.state_diagrams import state_diagrams
        from compliance import approvals, clients, decisions
        from ledger import (
            adjustment_defaults,
            collector_documents,
            deposit_history,
            history,
            states_document,
            transfer_codes,
            verify,
            withdrawal_history,
            withdrawals,
        )
        from ledger.adjustment_kind import AdjustmentKind
        from ledger.bank import claims, importing
        from ledger.collecting.paypal_orders import PayPalOrders
        from ledger.collecting.port import collectors
        from ledger.collecting.stripe_cards import StripeCards
        from ledger.control import checks, explain, transfer_checks
        from ledger.debt_kind import WriteOffKind
        from ledger.providers import providers
        from ledger.providers.bank_file import BankFile
        from ledger.transfer_history import ADJUSTMENTS, TRANSFERS
        from ledger.transfer_kind import TransferKind
        from ledger.vitals import INVARIANT_OFFENDERS
        from ledger.withdrawal_kind import WithdrawalKind

        state_diagrams.register("hold", states_document.hold, order=20)
        state_diagrams.register("deposit", states_document.deposit, order=21)
        state_diagrams.register("bank_statement", states_document.bank_statement, order=22)
        state_diagrams.register("bank_line", states_document.bank_line, order=23)
        state_diagrams.register("withdrawal", states_document.withdrawal, order=24)
        state_diagrams.register("payment", states_document.payment, order=25)
        state_diagrams.register("payment_batch", states_document.payment_batch, order=26)
        state_diagrams.register("transfer", states_document.transfer, order=27)
        state_diagrams.register("adjustment", states_document.adjustment, order=28)
        approvals.kinds.register(WithdrawalKind.name, WithdrawalKind())
        approvals.kinds.register(TransferKind.name, TransferKind())
        approvals.kinds.register(AdjustmentKind.name, AdjustmentKind())
        clients.opening_steps.register("transfer_code", transfer_codes.give, order=10)
        starting_data.register("transfer codes", transfer_codes.give_missing)
        starting_data.register("adjustment categories", adjustment_defaults.load)
        approvals.kinds.register(WriteOffKind.name, WriteOffKind())
        collectors.register(StripeCards.name, StripeCards())
        collectors.register(PayPalOrders.name, PayPalOrders())
        collector_documents.register()
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
        transfer_checks.register()
        history.requests.register("transfer", TRANSFERS)
        history.requests.register("adjustment", ADJUSTMENTS)
        verifications.register("ledger", verify.steps, order=20)
