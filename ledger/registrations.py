"""What the ledger tells the ports of the layers below it, and its own. Called once, when the apps are ready."""

from backoffice import vitals
from backoffice.backups.verifications import verifications
from backoffice.starting_data import starting_data
from backoffice.state_diagrams import state_diagrams
from compliance import approvals, clients, decisions, trials
from ledger import (
    adjustment_defaults,
    collector_documents,
    deposit_history,
    explanations,
    history,
    states_document,
    transfer_codes,
    transfer_history,
    verify,
    withdrawal_history,
    withdrawals,
)
from ledger.adjustment_kind import AdjustmentKind
from ledger.bank import claims, importing
from ledger.collecting.paypal_orders import PayPalOrders
from ledger.collecting.port import collectors
from ledger.collecting.stripe_cards import StripeCards
from ledger.control import checks, collector_lists, reconcilers, transfer_checks
from ledger.control.reconciliation import reconcilers as counterparts
from ledger.debt_kind import WriteOffKind
from ledger.providers import providers
from ledger.providers.back import Back
from ledger.providers.bank_file import BankFile
from ledger.providers.crypto import Crypto
from ledger.providers.manual import Manual
from ledger.transfer_kind import TransferKind
from ledger.vitals import INVARIANT_OFFENDERS
from ledger.withdrawal_kind import WithdrawalKind


def register() -> None:
    """All of it."""
    _who_pays()
    _who_decides()
    _control()
    _clients()
    _documents()


def _who_pays() -> None:
    for collector in (StripeCards(), PayPalOrders()):
        collectors.register(collector.name, collector)
    for provider in (BankFile(), Crypto(), Manual(), *map(Back, collectors)):
        providers.register(provider.name, provider)
    importing.payments.register("withdrawals", claims.known)


def _who_decides() -> None:
    for kind in (WithdrawalKind(), TransferKind(), AdjustmentKind(), WriteOffKind()):
        approvals.kinds.register(kind.name, kind)
    decisions.rechecks.register("withdrawals", withdrawals.look_again)
    trials.facts.register("withdrawal", withdrawal_history.facts)


def _control() -> None:
    checks.register()
    transfer_checks.register()
    vitals.register(INVARIANT_OFFENDERS, order=50)
    verifications.register("ledger", verify.steps, order=20)
    checks.live_subjects.register("withdrawal", withdrawal_history.live)
    counterparts.register("banks", reconcilers.with_banks, order=10)
    counterparts.register("custodian", reconcilers.with_custodian, order=20)
    counterparts.register("collectors", collector_lists.with_collectors, order=25)
    counterparts.register("manual", reconcilers.by_hand, order=30)


def _clients() -> None:
    clients.opening_steps.register("transfer_code", transfer_codes.give, order=10)
    starting_data.register("transfer codes", transfer_codes.give_missing)
    starting_data.register("adjustment categories", adjustment_defaults.load)
    history.requests.register("deposit", deposit_history.DEPOSITS)
    history.requests.register("withdrawal", withdrawal_history.WITHDRAWALS)
    history.requests.register("transfer", transfer_history.TRANSFERS)
    history.requests.register("adjustment", transfer_history.ADJUSTMENTS)
    explanations.register()


def _documents() -> None:
    collector_documents.register()
    for place, diagram in enumerate(states_document.DIAGRAMS):
        state_diagrams.register(diagram.__name__, diagram, order=16 + place)
