"""The ledger's console: accounts, journal entries, holds, trial balance, to read only; deposits, bank statements, suspense."""

from ledger.admin import (  # noqa: F401
    accounts,
    console,
    deposits,
    entries,
    holds,
    lines,
    payments_setup,
    statements,
)
