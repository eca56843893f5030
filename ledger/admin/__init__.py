"""The ledger's console: accounts, journal entries, holds and reports, control of the books; deposits, bank statements, suspense."""

from ledger.admin import (  # noqa: F401
    accounts,
    assertions,
    closings,
    coins,
    console,
    deposits,
    entries,
    holds,
    invariants,
    lines,
    payments,
    payments_setup,
    reconciliation,
    statements,
    withdrawals,
)
