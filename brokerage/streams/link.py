"""One account's connection to the venue: connected, authorised, followed, asked, and brought back when it breaks."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from brokerage.connections import LinkFacts
from brokerage.deriv.budgets import ASKED_UNTIL
from brokerage.deriv.client import DerivClient
from brokerage.deriv.errors import ConnectionLost, NotAuthorized, NotSent, VenueError
from brokerage.deriv.serial import from_json, to_json
from brokerage.deriv.types import ContractState, ContractTerms
from brokerage.streams.gate_watch import GateWatch
from brokerage.streams.leases import Lease

log = logging.getLogger(__name__)
FIRST_PAUSE_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 15.0
PAGE: Final = 100
# Contracts that run send a frame with each tick, every second or two: longer silence is a feed that froze.
FROZEN_SECONDS: Final = 15.0

# What the process wants to hear of: a contract that ended, a token refused, a connection that is back.
Report = Callable[..., Awaitable[None]]
LastLook = Callable[[], None]


class Link:
    """Keeps one connection alive for one account (or for nobody: the public prices) while its lease is held."""

    def __init__(
        self,
        name: str,
        *,
        is_private: bool,
        lease: Lease,
        connect: Callable[[], Awaitable[DerivClient]],
        report: Report,
        gate: GateWatch,
    ) -> None:
        self.name = name
        self._gate = gate
        self._is_private, self._lease, self._connect, self._report = is_private, lease, connect, report
        self._client: DerivClient | None = None
        self._closing: asyncio.Task[None] | None = None
        self._ended: dict[int, None] = {}
        self._running: set[int] = set()
        self._site = ""
        self._is_over = False
        self.connections = 0
        self.since = time.time()
        # Questions taken off the list for this link and not answered yet.
        self.in_flight = 0

    @property
    def is_up(self) -> bool:
        return self._client is not None

    @property
    def is_idle(self) -> bool:
        """Whether nobody would notice if another process had it: no question and no running contract."""
        return not self.in_flight and not self._running

    @property
    def facts(self) -> LinkFacts:
        """How the connection is, for people."""
        heard_at = self._client.heard_at if self._client is not None else None
        return LinkFacts(self.is_up, self.since, self.connections, heard_at)

    async def run(self) -> None:
        """Connect, and reconnect with growing pauses, until cancelled or the venue refuses the token."""
        pause = FIRST_PAUSE_SECONDS
        while not self._is_over:
            client: DerivClient | None = None
            try:
                client = await self._connect()
                self._client, self.connections, pause = client, self.connections + 1, FIRST_PAUSE_SECONDS
                self.since = time.time()
                log.info("venue link is up", extra={"link": self.name, "connections": self.connections})
                await self._report("up", self.name)
                await self._follow(client)
            except NotAuthorized as found:
                log.warning("venue refuses the token", extra={"link": self.name, "code": found.code})
                await self._report("unauthorized", self.name, found.code)
                # Somebody looks what it means; until then asking again at once would be refused again.
                await asyncio.sleep(LONGEST_PAUSE_SECONDS)
                return
            except (VenueError, OSError) as found:
                reason = found.code if isinstance(found, VenueError) else type(found).__name__
                log.warning("venue link is down", extra={"link": self.name, "reason": reason})
                await self._report("down", self.name, reason)
            finally:
                self._client = None
                if client is not None:
                    self.since = time.time()
                    self._closing = asyncio.create_task(client.close())
                    await asyncio.shield(self._closing)
            # Spread out, so that a thousand accounts do not come back in the same instant.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def hang_up(self) -> None:
        """Close the connection, if there is one: whoever reads from it learns that it is gone. Never raises."""
        if self._client is not None:
            await self._client.close()

    async def end(self, running: asyncio.Task[None]) -> None:
        """Cancel the task of `run` and wait until it is over and the connection is closed.

        The Redis client takes a cancellation for itself at times and goes on, and a task group whose members go on is
        waited for for ever. A connection that is closed ends them all, so after a second it is.
        """
        self._is_over = True
        while not running.done():
            running.cancel()
            await asyncio.wait([running], timeout=1.0)
            if not running.done():
                log.warning("venue link did not end when cancelled", extra={"link": self.name})
                await self.hang_up()
        # Cancelled once more while it closed the connection, it was over before the connection was.
        if self._closing is not None:
            await asyncio.wait([self._closing])

    async def _follow(self, client: DerivClient) -> None:
        """Read what the venue says by itself until the connection ends."""
        try:
            # The two sources of every purchase and settlement, followed side by side; if one breaks, all do.
            async with asyncio.TaskGroup() as together:
                together.create_task(self._follow_site(client))
                if self._is_private:
                    together.create_task(self._follow_contracts(client))
                    together.create_task(self._follow_transactions(client))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _follow_site(self, client: DerivClient) -> None:
        statuses = await client.follow_site_status()
        if statuses is None:
            # Nobody tells: the connection itself is all there is to watch.
            await client.wait_lost()
            raise ConnectionLost("ConnectionLost", "The connection broke.")
        async for site in statuses:
            self._site = site.status
            await self._report("site", self.name, site.status)
            await self._report("limits", self.name, site.limits)

    async def _follow_contracts(self, client: DerivClient) -> None:
        states = aiter(await client.follow_contracts())
        while True:
            try:
                async with asyncio.timeout(FROZEN_SECONDS if self._running else None):
                    state = await anext(states)
            except TimeoutError:
                # The socket answers pings and still tells nothing: a new connection is the only cure we have.
                self._running.clear()
                raise ConnectionLost("FEED_FROZEN", "No frame of a running contract came in time.") from None
            await self._seen(state)

    async def _follow_transactions(self, client: DerivClient) -> None:
        async for update in await client.follow_transactions():
            await self._report("line", self.name, to_json(update))

    async def _seen(self, state: ContractState) -> None:
        if state.is_sold:
            self._running.discard(state.contract_id)
            if state.contract_id in self._ended:
                return
            self._ended[state.contract_id] = None
            while len(self._ended) > 1000:
                self._ended.pop(next(iter(self._ended)))
            await self._report("ended", self.name, to_json(state))
        else:
            if not state.is_expired:
                self._running.add(state.contract_id)
            await self._report("quote", self.name, to_json(state))

    async def answer(
        self,
        call: str,
        arguments: Mapping[str, Any],
        *,
        still_wanted: Callable[[], bool],
        until: float | None = None,
    ) -> Any:
        """Ask the venue one question. `until` is its deadline by the event loop's clock, for whoever has to wait.

        A purchase or a sale gets a last look, with nothing between it and the wire: the lease is ours, the deadline
        ahead, and the order gate, freshly read, lets it through. Nothing is bought while the venue is updating: it
        is about to close the connection, and the answer would be lost.

        :raises Halted: if the order gate lets it not through; nothing was sent.
        :raises NotSent: if there is no connection, no lease, or it is too late; nothing was sent.
        :raises RetryLater: `BUDGET` if the account has asked too often to ask this in time; nothing was sent.
        :raises VenueError: what the venue answered.
        """
        ASKED_UNTIL.set(until)
        client = self._client
        if client is None:
            raise NotSent("NO_CONNECTION", "The connection to the venue is down.")

        def may_leave() -> None:
            if not self._lease.is_held:
                raise NotSent("LEASE_LOST", "Another process holds this account.")
            if not still_wanted():
                raise NotSent("TOO_LATE", "The deadline has passed.")

        def last_look() -> None:
            may_leave()
            self._gate.check(call, arguments)
            if self._site == "updating" and call != "sell":
                raise NotSent("VENUE_UPDATING", "The venue is updating.")

        may_leave()
        if call not in _ORDERS:
            return await _CALLS[call](client, arguments)
        await self._gate.fresh(still_wanted)
        return await _ORDERS[call](client, arguments, last_look)


# ── one function a call: plain arguments in, plain values out ─────────────────────────────────────────────────────


async def _proposal(client: DerivClient, given: Mapping[str, Any]) -> Any:
    return to_json(await client.proposal(from_json(ContractTerms, given["terms"])))


async def _buy(client: DerivClient, given: Mapping[str, Any], last_look: LastLook) -> Any:
    return to_json(await client.buy(given["proposal_id"], Decimal(given["price"]), last_look=last_look))


async def _buy_with_terms(client: DerivClient, given: Mapping[str, Any], last_look: LastLook) -> Any:
    terms, markup = from_json(ContractTerms, given["terms"]), Decimal(given["markup_percentage"])
    price = Decimal(given["price"])
    return to_json(await client.buy_with_terms(terms, price, markup_percentage=markup, last_look=last_look))


async def _sell(client: DerivClient, given: Mapping[str, Any], last_look: LastLook) -> Any:
    return to_json(await client.sell(given["contract_id"], last_look=last_look))


async def _contract(client: DerivClient, given: Mapping[str, Any]) -> Any:
    return to_json(await client.contract(given["contract_id"]))


async def _portfolio(client: DerivClient, given: Mapping[str, Any]) -> Any:
    return [to_json(row) for row in await client.portfolio()]


async def _profit_table(client: DerivClient, given: Mapping[str, Any]) -> Any:
    return await _pages(lambda offset: client.profit_table(since=given["since"], limit=PAGE, offset=offset))


async def _statement(client: DerivClient, given: Mapping[str, Any]) -> Any:
    since = given["since"]
    lines = await _pages(lambda offset: client.statement(since=since, limit=PAGE, offset=offset))
    return lines + [to_json(line) for line in await client.older_statement(since)]


async def _reset_demo_balance(client: DerivClient, given: Mapping[str, Any]) -> Any:
    await client.reset_demo_balance()
    return None


async def _active_symbols(client: DerivClient, given: Mapping[str, Any]) -> Any:
    return [to_json(row) for row in await client.active_symbols()]


async def _contracts_for(client: DerivClient, given: Mapping[str, Any]) -> Any:
    return [to_json(row) for row in await client.contracts_for(given["symbol"])]


async def _pages(page: Callable[[int], Awaitable[Any]]) -> list[Any]:
    """Every page, newest first. A row that moved to the next page meanwhile appears twice; readers key by id."""
    rows: list[Any] = []
    while True:
        found = list(await page(len(rows)))
        rows += [to_json(row) for row in found]
        if len(found) < PAGE:
            return rows


# What changes something at the venue, and so is looked at once more right before the wire.
_ORDERS: Final[Mapping[str, Callable[[DerivClient, Mapping[str, Any], LastLook], Awaitable[Any]]]] = {
    "buy": _buy,
    "buy_with_terms": _buy_with_terms,
    "sell": _sell,
}
_CALLS: Final[Mapping[str, Callable[[DerivClient, Mapping[str, Any]], Awaitable[Any]]]] = {
    "proposal": _proposal,
    "contract": _contract,
    "portfolio": _portfolio,
    "profit_table": _profit_table,
    "statement": _statement,
    "reset_demo_balance": _reset_demo_balance,
    "active_symbols": _active_symbols,
    "contracts_for": _contracts_for,
}
