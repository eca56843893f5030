"""The interface to the venue, the same for every protocol generation.

A client is one connection. Every method raises a ``VenueError`` of ``errors`` and nothing else for what the venue
or the network does; which class tells what to do next. A client never reconnects, retries or repeats by itself:
whoever owns the connection decides that.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from typing import Protocol, TypeVar

from brokerage.deriv.types import (
    ActiveSymbol,
    BalanceUpdate,
    Candle,
    ContractOffer,
    ContractState,
    ContractTerms,
    PortfolioContract,
    PricePoint,
    ProfitRow,
    Proposal,
    Purchase,
    Sale,
    SiteStatus,
    StatementLine,
    Tick,
    TransactionUpdate,
)

T_co = TypeVar("T_co", covariant=True)


class Stream(Protocol[T_co]):
    """What the venue keeps telling. Read it with ``async for``; it ends with an exception unless we close it.

    ``ConnectionLost``: the connection broke, everything since is unknown. ``FellBehind``: we read too slowly.
    Any other ``VenueError``: the venue ended it.
    """

    def __aiter__(self) -> AsyncIterator[T_co]: ...

    async def __anext__(self) -> T_co: ...

    async def close(self) -> None:
        """Tell the venue to stop, if it can still be told; ends the iteration. Never raises."""


class DerivClient(Protocol):
    """What can be asked of the venue, whatever generation of its protocol is spoken."""

    @property
    def is_up(self) -> bool:
        """Whether requests can be sent."""

    @property
    def heard_at(self) -> float:
        """When the last frame came, or the connection was opened: Unix seconds by this machine's clock."""

    async def wait_lost(self) -> None:
        """Return as soon as the connection is gone, for whatever reason."""

    async def balance(self) -> BalanceUpdate: ...

    async def follow_balance(self) -> Stream[BalanceUpdate]:
        """The present balance first, then each new one."""

    async def active_symbols(self) -> tuple[ActiveSymbol, ...]: ...

    async def contracts_for(self, symbol: str) -> tuple[ContractOffer, ...]:
        """What is sold on a symbol. Raises ``Refused`` (``InvalidSymbol``)."""

    async def ticks(self, symbol: str) -> Stream[Tick]:
        """The present tick first, then each new one."""

    async def ticks_history(
        self, symbol: str, count: int, until: int | None = None
    ) -> tuple[PricePoint, ...]:
        """The last ``count`` ticks up to ``until`` (Unix seconds; now if ``None``), oldest first."""

    async def candles(
        self, symbol: str, count: int, granularity: int, until: int | None = None
    ) -> tuple[Candle, ...]:
        """The last ``count`` candles of ``granularity`` seconds, oldest first."""

    async def proposal(self, terms: ContractTerms) -> Proposal:
        """Price the terms, with the application's registered markup. Buys nothing."""

    async def follow_proposal(self, terms: ContractTerms) -> Stream[Proposal]:
        """The price of the terms as it changes; ends when it is bought."""

    async def buy(
        self, proposal_id: str, price: Decimal, *, last_look: Callable[[], None] | None = None
    ) -> Purchase:
        """Buy a proposal for ``price`` at most. Raises ``OutcomeUnknown`` if it may have been bought.

        A proposal buys once, so of two purchases with the same id the venue refuses one. ``last_look`` is called
        right before the wire; what it raises keeps the purchase from being sent (here and below).
        """

    async def buy_with_terms(
        self,
        terms: ContractTerms,
        price: Decimal,
        markup_percentage: Decimal | None = None,
        *,
        last_look: Callable[[], None] | None = None,
    ) -> Purchase:
        """Price and buy in one step, for ``price`` at most; the markup is in percent of the payout, 0 to 3.

        Nothing tells two such purchases apart: on ``OutcomeUnknown`` look before doing anything else.
        """

    async def sell(
        self, contract_id: int, price: Decimal = Decimal(0), *, last_look: Callable[[], None] | None = None
    ) -> Sale:
        """Sell a running contract for ``price`` at least. Raises ``SaleRefused``, ``Reprice``, ``OutcomeUnknown``."""

    async def contract(self, contract_id: int) -> ContractState: ...

    async def follow_contract(self, contract_id: int) -> Stream[ContractState]:
        """One contract: its present state, then each change and each tick."""

    async def follow_contracts(self) -> Stream[ContractState]:
        """All contracts that are open now or bought later: states as they change, up to and with settlement.

        Says nothing about contracts that were settled before.
        """

    async def portfolio(self) -> tuple[PortfolioContract, ...]:
        """The contracts the account holds."""

    async def profit_table(
        self,
        since: int | None = None,
        until: int | None = None,
        limit: int = 50,
        offset: int = 0,
        contract_types: Sequence[str] = (),
    ) -> tuple[ProfitRow, ...]:
        """Contracts that are over, newest purchase first; bought from ``since`` to ``until`` (Unix seconds)."""

    async def statement(
        self, since: int | None = None, until: int | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[StatementLine, ...]:
        """Movements of the balance, newest first, from ``since`` to ``until`` (Unix seconds)."""

    async def older_statement(self, since: int | None = None) -> tuple[StatementLine, ...]:
        """Movements the venue keeps apart: those from before it moved the account to this generation, newest first."""

    async def follow_transactions(self) -> Stream[TransactionUpdate]:
        """Each movement of the balance from now on."""

    async def forget(self, stream_id: str) -> bool:
        """Whether there was such a stream to end."""

    async def forget_all(self, *kinds: str) -> tuple[str, ...]:
        """End all streams of these kinds (``ticks``, ``proposal_open_contract``, …); the ids of those ended."""

    async def ping(self) -> None: ...

    async def time(self) -> int:
        """The venue's clock, in Unix seconds."""

    async def follow_site_status(self) -> Stream[SiteStatus] | None:
        """The present status first, then each change; ``None`` where the generation does not tell."""

    async def reset_demo_balance(self) -> None:
        """Bring a demo account back to the balance it began with, where the socket can; v4 does it over HTTP."""

    async def logout(self) -> None: ...

    async def close(self) -> None:
        """Close the connection; streams and calls in flight end with ``ConnectionLost``. Never raises."""
