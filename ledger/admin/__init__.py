"""The ledger's console: accounts, journal entries, holds and reports, control of the books; deposits, bank statements, suspense."""

from ledger.admin import (  # noqa: F401
    accounts,
    adjustments,
    assertions,
    claw_backs,
    closings,
    coins,
    console,
    debts,
    deposits,
    entries,
    holds,
    invariants,
    lines,
    payments,
    payments_setup,
    rates,
    reconciliation,
    statements,
    transfers,
    withdrawals,
)
