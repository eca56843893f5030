"""Protocol generation v3: one socket for everything, made an account's own by its token."""

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from brokerage.deriv import answers
from brokerage.deriv.answers import Dialect, Fields
from brokerage.deriv.budgets import Admission, Allowance, Budgets
from brokerage.deriv.connection import Connection
from brokerage.deriv.dialing import open_connection
from brokerage.deriv.settings import Hook, Settings
from brokerage.deriv.socket_client import SocketClient
from brokerage.deriv.subscription import Subscription
from brokerage.deriv.types import (
    ActiveSymbol,
    Authorization,
    CallLimits,
    MarkupLine,
    SiteStatus,
    StatementLine,
)


def _listed(row: Fields) -> ActiveSymbol:
    return ActiveSymbol(
        symbol=answers.text(row, "symbol"),
        display_name=answers.text(row, "display_name"),
        market=answers.text(row, "market"),
        submarket=answers.text(row, "submarket"),
        pip=answers.amount(row, "pip"),
        exchange_is_open=answers.flag(row, "exchange_is_open"),
        is_trading_suspended=answers.flag(row, "is_trading_suspended"),
    )


DIALECT = Dialect(
    generation="v3",
    symbol="symbol",
    contract_symbol="underlying",
    price=answers.amount,
    entry="entry_tick",
    exit="exit_tick",
    listed=_listed,
)


# What Deriv documents; `website_status` tells the limits in force, see `told`.
BUDGETS = Budgets(
    groups={
        "proposal": "pricing",
        "proposal_open_contract": "pricing",
        "portfolio": "outcome",
        "profit_table": "outcome",
        "statement": "outcome",
    },
    allowances={
        "general": Allowance(180, reserved=30),
        "pricing": Allowance(80, reserved=8),
        "outcome": Allowance(25),
    },
)


def told(limits: CallLimits) -> dict[str, int]:
    """How many requests a minute the venue takes now, by group."""
    return {
        "general": limits.general_per_minute,
        "pricing": limits.pricing_per_minute,
        "outcome": limits.outcome_per_minute,
    }


class V3Client(SocketClient):
    """``DerivClient`` over generation v3, and the calls that only it has."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, DIALECT)

    async def authorize(self, token: str) -> Authorization:
        """Make this the connection of the token's account. :raises NotAuthorized: for a bad token."""
        return await self._ask({"authorize": token}, answers.authorization)

    async def markup_details(
        self, since: int, until: int, limit: int = 1000, offset: int = 0
    ) -> tuple[MarkupLine, ...]:
        """What purchases from ``since`` to ``until`` (Unix seconds, both included) earned this application, oldest first.

        Raises ``NotAuthorized`` unless the connection is of whom the application is registered to.
        """
        request = {"app_markup_details": 1, "date_from": str(since), "date_to": str(until)}
        paged = {"limit": limit, "offset": offset, "sort": "ASC", "sort_fields": ["transaction_time"]}
        return await self._ask({**request, **paged}, answers.markup_lines)

    async def website_status(self) -> SiteStatus:
        """Whether the venue is up, and how often it may be asked."""
        return await self._ask({"website_status": 1}, answers.site_status)

    async def older_statement(self, since: int | None = None) -> tuple[StatementLine, ...]:
        return ()

    async def reset_demo_balance(self) -> None:
        await self._ask({"topup_virtual": 1}, lambda frame: answers.obj(frame, "topup_virtual"))

    async def follow_site_status(self) -> Subscription[SiteStatus]:
        return await self._follow({"website_status": 1}, answers.site_status)


async def connect(
    url: str,
    app_id: int,
    *,
    settings: Settings | None = None,
    on_message: Hook | None = None,
    admission: Admission | None = None,
) -> V3Client:
    """Open a connection, not yet authorized. ``url`` ends in ``/websockets/v3``, without a query.

    ``on_message`` sees every frame with its direction, secrets removed. Raises ``NotSent`` if there is no
    connection, ``NotAuthorized`` if the venue does not know the application.
    """
    address = f"{url}?{urlencode({'app_id': app_id})}"
    return V3Client(await open_connection(address, settings or Settings(), on_message, admission))


if TYPE_CHECKING:
    from brokerage.deriv.client import DerivClient

    _implements: type[DerivClient] = V3Client
