"""The ledger's console: accounts, journal entries, holds, trial balance. All of it to read only."""

from ledger.admin import accounts, console, entries, holds  # noqa: F401
