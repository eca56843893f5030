"""The ledger's console: accounts, journal entries, holds, reports, and control of the books."""

from ledger.admin import accounts, assertions, closings, console, entries, holds, invariants  # noqa: F401
