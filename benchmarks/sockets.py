"""Live subscriptions: from a commit to the last of 1,000 sockets.

A web process of its own serves 1,000 sockets, all of one client app's person and all watching one trade, in one
process beside it. The trade changes its state 21 times; what is measured is from the return of the commit to the last
socket that has its message, median of the last twenty. Beside it stands a bare ASGI application on the same
server that sends the same text to 1,000 sockets as soon as Redis tells it to, with no GraphQL, no database and no
log-in.

The bare application does not meet the goal on this machine either. Of processor time a message costs the server about 100 µs
where the bare one takes 28 (the frame and its write): the reading, its execution and its text are shared by all, but each
socket's own task is woken, resumes its subscription through the layers of the library, and looks whether its session is
still good. Next would be: one task that writes what is shared to all sockets that asked the same, without waking
theirs; and sockets spread over several web processes, which need no other change.

Not said: networks, and sockets that watch a thousand different things: what differs is read and encoded for each.
"""

import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks import Figure
from benchmarks.ground import ROOT, Ground, say

SOCKETS, ROUNDS = 1000, 21
CHANNEL = "bench:told"
QUERY = """subscription($id: ID!) { tradeStatus(id: $id) {
    version state event at trade { id state why stake { amount currency } payout { amount } account { id available { amount } } } } }"""


def run(ground: Ground) -> list[Figure]:
    many = max(int(SOCKETS * ground.scale), 10)
    ours = statistics.median(_product(many))
    bare = statistics.median(_bare(many))
    name = f"fan-out to {many:,} sockets, commit to the last"
    return [
        Figure(name, ours, "ms", goal=50),
        Figure("the same", ours, "ms", "bare ASGI, Redis to the last", bare),
    ]


def _product(many: int) -> list[float]:
    from django.utils import timezone

    from backoffice import sessions
    from backoffice.who import By
    from brokerage import trades
    from tests import world

    by = By.system("bench")
    trade = world.placed()
    user = trade.client.membership_set.get().user
    access = sessions.start(user, at=timezone.now()).access
    told = 0

    def change() -> None:
        nonlocal told, trade
        now, told = timezone.now(), told + 1
        if trade.state == "queued":
            trade = trades.begin_submission(
                trade, proposal_id=f"proposal-{told}", deadline=now, by=by, at=now
            )
        else:
            trade = trades.requeue(trade, code="BUSY", message="Busy.", by=by, at=now)

    opening = [
        {"type": "connection_init", "payload": {"authorization": f"Bearer {access}"}},
        {"id": "1", "type": "subscribe", "payload": {"query": QUERY, "variables": {"id": str(trade.uuid)}}},
    ]
    with _serving("manage.py", "web") as (port, pid):
        # Each socket hears that it is let in, and the present state.
        return _measured(f"ws://127.0.0.1:{port}/graphql/", pid, many, opening, 2, change)


def _bare(many: int) -> list[float]:
    from backoffice.cache import redis_client

    with _serving("-m", "uvicorn", "benchmarks.bare_sockets:application", "--log-level", "warning") as (
        port,
        pid,
    ):
        return _measured(
            f"ws://127.0.0.1:{port}/", pid, many, [], 1, lambda: redis_client().publish(CHANNEL, "now")
        )


def _measured(
    url: str, pid: int, many: int, opening: list[Any], first: int, change: Callable[[], Any]
) -> list[float]:
    """Milliseconds from each change to the last of so many sockets; `first` messages come before the first change."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_hear, args=(theirs, url, many, opening, first), daemon=True)
    process.start()
    assert ours.poll(120) and ours.recv() == "ready"
    took, spent = [], _spent(pid)
    for number in range(ROUNDS):
        change()
        begun = time.monotonic()
        assert ours.poll(60), "a socket heard nothing"
        if number:
            took.append((ours.recv() - begun) * 1000)
        else:
            ours.recv()
    process.terminate()
    process.join()
    say(
        f"  {(_spent(pid) - spent) / ROUNDS / many * 1e6:.0f} µs of the server's processor time for each message"
    )
    return took


def _spent(pid: int) -> float:
    """Processor seconds of a process so far, where the system tells."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return math.nan
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _hear(pipe: Any, url: str, many: int, opening: list[Any], first: int) -> None:
    """The other side: says when the last socket has heard what came before, and then when each message is there."""
    asyncio.run(_hear_all(pipe, url, many, opening, first))


async def _hear_all(pipe: Any, url: str, many: int, opening: list[Any], first: int) -> None:
    from websockets.asyncio.client import connect

    left, ready = many, 0
    at_once = asyncio.Semaphore(20)

    async def one() -> None:
        nonlocal left, ready
        protocols: Any = ["graphql-transport-ws"] if opening else None
        async with at_once:
            wire = await connect(url, subprotocols=protocols, compression=None, open_timeout=60)
            for message in opening:
                await wire.send(json.dumps(message))
            for _ in range(first):
                await wire.recv()
        async with wire:
            ready += 1
            if ready == many:
                pipe.send("ready")
            async for _ in wire:
                left -= 1
                if not left:
                    left = many
                    pipe.send(time.monotonic())

    await asyncio.gather(*(one() for _ in range(many)))


@contextmanager
def _serving(*command: str) -> Iterator[tuple[int, int]]:
    """A web server in a process of its own; its port (told by `PORT`, or as uvicorn wants it) and its process."""
    from tests.running import free_port, until

    port = free_port()
    named = ("--port", str(port)) if "uvicorn" in command else ()
    environment = {**os.environ, "PORT": str(port), "CHANNEL": CHANNEL}
    process = subprocess.Popen([sys.executable, *command, *named], cwd=ROOT, env=environment)
    try:
        until(lambda: _listens(port), "the server listens", 60)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
