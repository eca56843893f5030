"""Who uses a deployment under load: clients who trade through the API, each over a socket of its own, and an officer in the console."""

import asyncio
import itertools
import json
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests import world
from tests.edges.api import PLACE

PATIENCE: Final = 60.0
TRADES: Final = "{ trades(first: 20) { edges { node { id state isFinal stake { amount currency } } } } }"
PROPOSAL: Final = """query($input: TradeTermsInput!) { proposal(input: $input) {
    ... on Proposal { payout { amount } spot } ... on Problem { code message } } }"""
STATUS: Final = """subscription($id: ID!) { tradeStatus(id: $id) { version state trade { isFinal } } }"""
ENDS: Final = {"WON", "LOST", "SOLD", "REFUNDED"}
THINK_SECONDS: Final = 0.5
# Shorter than the server keeps a connection that asks nothing, so that neither closes what the other just uses.
LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=2.0)


@dataclass
class Seen:
    """How long each thing took, in seconds, and how often which thing went wrong."""

    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: Counter[str] = field(default_factory=Counter)
    placed: list[str] = field(default_factory=list)
    latest: float = 0.0
    """The most seconds that a client began a trade later than it meant to."""
    missed: int = 0
    """Trades not begun, since the same client's last one had not ended by then."""


class Trader:
    """A client with its app: a trade every so often, watched to its end, then its list and a price."""

    def __init__(self, number: int, origin: str, access: str, http: httpx.AsyncClient, seen: Seen) -> None:
        self._url, self._access, self._http, self._seen = f"{origin}/graphql/", access, http, seen
        self._draw, self._number = random.Random(number), number
        self._ids = itertools.count(1)
        self._doing = ""

    async def trade_until(self, end: float, first: float, every: float) -> None:
        """From `first` on every so many seconds, by the steady clock; nothing is begun after `end`."""
        due = first
        while due < end:
            try:
                async with self._socket() as socket:
                    while due < end:
                        await self._at(due)
                        async with asyncio.timeout(PATIENCE):
                            await self._once(socket)
                        due = self._after(due, every)
            except Exception as found:  # noqa: BLE001  (everything that goes wrong is counted; a client goes on)
                self._seen.wrong[f"client, {self._doing}: {found!r}"[:300]] += 1
                due = self._after(due, every)

    async def _at(self, due: float) -> None:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        self._seen.latest = max(self._seen.latest, time.monotonic() - due)

    def _after(self, due: float, every: float) -> float:
        """When the next trade is due; those that were due while the last one still ran are left out, and counted."""
        missed = int(max(0.0, time.monotonic() - due) // every)
        self._seen.missed += missed
        return due + every * (missed + 1)

    @asynccontextmanager
    async def _socket(self) -> AsyncIterator[ClientConnection]:
        self._doing, begun = "opening a socket", time.monotonic()
        url = self._url.replace("http", "ws", 1)
        async with connect(
            url, subprotocols=["graphql-transport-ws"], compression=None, open_timeout=PATIENCE
        ) as socket:  # type: ignore[list-item]
            payload = {"authorization": f"Bearer {self._access}"}
            await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            self._seen.took["socket opened"].append(time.monotonic() - begun)
            yield socket

    async def _once(self, socket: ClientConnection) -> None:
        terms = {
            "symbol": "1HZ100V",
            "side": self._draw.choice(["CALL", "PUT"]),
            "stake": f"{self._draw.randrange(100, 2000) / 100:.2f}",
            "duration": self._draw.randrange(1, 6),
        }
        key = f"load-{self._number}-{next(self._ids)}"
        begun = time.monotonic()
        placed = await self._ask("placeTrade", PLACE, input={**terms, "key": key})
        trade = str(placed["trade"]["id"])
        self._seen.placed.append(trade)
        await self._watch(socket, trade, begun)
        await self._ask("trades", TRADES)
        await self._ask("proposal", PROPOSAL, input=terms)

    async def _ask(self, name: str, query: str, **variables: Any) -> Any:
        self._doing, begun = name, time.monotonic()
        answer = await self._http.post(
            self._url,
            json={"query": query, "variables": variables},
            headers={"Authorization": f"Bearer {self._access}"},
        )
        self._seen.took[name].append(time.monotonic() - begun)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}"
        body = answer.json()
        assert "errors" not in body, str(body)
        (value,) = body["data"].values()
        assert "code" not in value, str(value)
        return value

    async def _watch(self, socket: ClientConnection, trade: str, placed_at: float) -> None:
        """Each state as it is told, until the trade is final and the subscription says that it is over."""
        name, begun, state = str(next(self._ids)), time.monotonic(), ""
        self._doing = "watching a trade"
        subscribe = {"query": STATUS, "variables": {"id": trade}}
        await socket.send(json.dumps({"id": name, "type": "subscribe", "payload": subscribe}))
        is_first, is_bought = True, False
        while True:
            message = json.loads(await socket.recv())
            if message["type"] == "complete":
                break
            assert message["type"] == "next", str(message)
            now, status = time.monotonic(), message["payload"]["data"]["tradeStatus"]
            state = status["state"]
            if is_first:
                is_first = False
                self._seen.took["tradeStatus, first message"].append(now - begun)
            if not is_bought and state in {"OPEN", *ENDS}:
                is_bought = True
                self._seen.took["placed, until told that it is open"].append(now - placed_at)
            if status["trade"]["isFinal"]:
                self._seen.took["placed, until told how it ended"].append(now - placed_at)
        assert state in ENDS, f"it ended as {state or 'nothing'}"


class Officer:
    """A member of staff who walks through the console, page after page, as a browser would ask for them."""

    def __init__(self, origins: list[str], email: str, pages: dict[str, str], seen: Seen) -> None:
        """`pages` are paths by name; `{trade}` in one stands for the trade newest in the list."""
        self._origins, self._email, self._pages, self._seen = itertools.cycle(origins), email, pages, seen
        self._http = httpx.AsyncClient(limits=LIMITS, trust_env=False, timeout=PATIENCE)
        self._trade = ""

    async def walk_until(self, end: float) -> None:
        async with self._http:
            try:
                await self._log_in()
            except (httpx.HTTPError, AssertionError) as found:
                self._seen.wrong[f"the officer could not log in: {found!r}"] += 1
                return
            while time.monotonic() < end:
                for name, path in self._pages.items():
                    if "{trade}" in path and not self._trade:
                        continue  # nobody has traded yet
                    try:
                        self._note(await self._get(name, path.format(trade=self._trade)))
                    except (httpx.HTTPError, AssertionError) as found:
                        self._seen.wrong[f"console, {name}: {found!r}"] += 1
                    await asyncio.sleep(THINK_SECONDS)

    async def _log_in(self) -> None:
        origin, home = next(self._origins), self._pages["Home"]
        page = await self._http.get(f"{origin}{home}login/")
        (token,) = set(re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text))
        form = {"username": self._email, "password": world.PASSWORD, "step": "password", "next": home}
        begun = time.monotonic()
        answer = await self._http.post(f"{origin}{home}login/", data={**form, "csrfmiddlewaretoken": token})
        self._seen.took["console, log-in"].append(time.monotonic() - begun)
        refusal = re.findall(r'class="c-(?:refusal|error)"[^>]*>(.*?)</(?:div|p)>', answer.text)
        assert (answer.status_code, answer.headers.get("location")) == (302, home), refusal

    async def _get(self, name: str, path: str) -> str:
        begun = time.monotonic()
        answer = await self._http.get(f"{next(self._origins)}{path}")
        self._seen.took[f"console, {name}"].append(time.monotonic() - begun)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return answer.text

    def _note(self, page: str) -> None:
        if found := re.search(r"/brokerage/trade/(\d+)/change/", page):
            self._trade = found[1]
