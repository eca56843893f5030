"""The brokerage's console: trades, trading accounts, instruments, and what they add to Home, search and the client's page."""

from brokerage.admin import (  # noqa: F401
    accounts,
    console,
    differences,
    funding,
    gate,
    grants,
    home,
    instruments,
    limits,
    markup,
    trades,
)
