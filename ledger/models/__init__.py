"""The ledger's tables, by noun. Django finds models through this module."""

from ledger.models.books import (
    Account,
    AccountQuerySet,
    AccountRef,
    Book,
    Entry,
    EntryQuerySet,
    Hold,
    HoldQuerySet,
    Posting,
    Side,
    account_id,
)
from ledger.models.coins import (
    CoinArrival,
    CoinArrivalQuerySet,
    CoinRoute,
    CustodianCursor,
    DepositAddress,
    DepositAddressQuerySet,
)
from ledger.models.control import (
    BalanceAssertion,
    BalanceAssertionQuerySet,
    Closing,
    ClosingQuerySet,
    InvariantOffender,
    InvariantRun,
)
from ledger.models.deposits import Deposit, DepositQuerySet
from ledger.models.payments import Payment, PaymentBatch, PaymentQuerySet
from ledger.models.payments_setup import BankAccount, Fee, MatchingRule, Method
from ledger.models.reconciliation import Reconciliation, Unmatched
from ledger.models.statements import BankLine, BankLineQuerySet, BankStatement, BankStatementQuerySet
from ledger.models.withdrawals import (
    Beneficiary,
    BeneficiaryQuerySet,
    Withdrawal,
    WithdrawalQuerySet,
    WithdrawalRoute,
)

__all__ = [
    "Account",
    "AccountQuerySet",
    "AccountRef",
    "BalanceAssertion",
    "BalanceAssertionQuerySet",
    "BankAccount",
    "BankLine",
    "BankLineQuerySet",
    "BankStatement",
    "BankStatementQuerySet",
    "Beneficiary",
    "BeneficiaryQuerySet",
    "Book",
    "Closing",
    "ClosingQuerySet",
    "CoinArrival",
    "CoinArrivalQuerySet",
    "CoinRoute",
    "CustodianCursor",
    "Deposit",
    "DepositAddress",
    "DepositAddressQuerySet",
    "DepositQuerySet",
    "Entry",
    "EntryQuerySet",
    "Fee",
    "Hold",
    "HoldQuerySet",
    "InvariantOffender",
    "InvariantRun",
    "MatchingRule",
    "Method",
    "Payment",
    "PaymentBatch",
    "PaymentQuerySet",
    "Posting",
    "Reconciliation",
    "Side",
    "Unmatched",
    "Withdrawal",
    "WithdrawalQuerySet",
    "WithdrawalRoute",
    "account_id",
]
