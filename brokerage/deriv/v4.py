"""Protocol generation v4: a socket per account, opened with an address that works once; another for public prices."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from brokerage.deriv import answers
from brokerage.deriv.answers import Dialect, Fields
from brokerage.deriv.budgets import Admission, Allowance, Budgets
from brokerage.deriv.connection import Connection
from brokerage.deriv.dialing import open_connection
from brokerage.deriv.settings import Hook, Settings
from brokerage.deriv.socket_client import SocketClient
from brokerage.deriv.subscription import Subscription
from brokerage.deriv.types import ActiveSymbol, SiteStatus, StatementLine

Older = Callable[[int | None], Awaitable[tuple[StatementLine, ...]]]


def _listed(row: Fields) -> ActiveSymbol:
    return ActiveSymbol(
        symbol=answers.text(row, "underlying_symbol"),
        display_name=answers.text(row, "underlying_symbol_name"),
        market=answers.text(row, "market"),
        submarket=answers.text(row, "submarket"),
        pip=answers.amount(row, "pip_size"),
        exchange_is_open=answers.flag(row, "exchange_is_open"),
        is_trading_suspended=answers.flag(row, "is_trading_suspended"),
    )


DIALECT = Dialect(
    generation="v4",
    symbol="underlying_symbol",
    contract_symbol="underlying_symbol",
    price=answers.amount_text,
    entry="entry_spot",
    exit="exit_spot",
    listed=_listed,
)


# What Deriv documents; no call tells the limits in force. Requests over HTTP are `general` ones.
BUDGETS = Budgets(
    groups={
        "proposal": "trading",
        "proposal_open_contract": "trading",
        "buy": "trading",
        "sell": "trading",
        "portfolio": "outcome",
        "profit_table": "outcome",
        "balance": "account",
        "statement": "account",
        "ping": "ping",
    },
    allowances={
        "trading": Allowance(360, reserved=60),
        "outcome": Allowance(30),
        "account": Allowance(100),
        "general": Allowance(220, reserved=30),
        "ping": Allowance(10, seconds=1),
    },
)


class V4Client(SocketClient):
    """``DerivClient`` over generation v4."""

    def __init__(self, connection: Connection, older: Older | None = None) -> None:
        """``older`` reads what the venue keeps apart from before it moved the account; ``None`` if it did not."""
        super().__init__(connection, DIALECT)
        self._older = older

    async def older_statement(self, since: int | None = None) -> tuple[StatementLine, ...]:
        return () if self._older is None else await self._older(since)

    async def follow_site_status(self) -> Subscription[SiteStatus] | None:
        """v4 does not tell: a socket that closes is all one sees of an update."""
        return None


async def connect(
    address: str,
    *,
    older: Older | None = None,
    settings: Settings | None = None,
    on_message: Hook | None = None,
    admission: Admission | None = None,
) -> V4Client:
    """Open the socket at an address of ``RestClient.socket_address``, or the public one.

    Raises ``NotSent`` if there is no connection, ``NotAuthorized`` if the address is used, old or false.
    """
    connection = await open_connection(address, settings or Settings(), on_message, admission)
    return V4Client(connection, older)


if TYPE_CHECKING:
    from brokerage.deriv.client import DerivClient

    _implements: type[DerivClient] = V4Client
