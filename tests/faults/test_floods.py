"""Callers that mean no good, against a real web process: it stays up, answers the others, and nothing is left behind.

What an abuse must not do is said in counts (answers, connections, files), never in how long something takes.
"""

import json
import os
import resource
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from backoffice import serving
from backoffice.asgi import THREADS
from graphql_api import live
from tests import world
from tests.edges.api import LOG_IN
from tests.running import HTTP, LiveApp, Running, until

pytestmark = pytest.mark.processes
Plain = Callable[..., socket.socket]
CHANGES = "subscription { tradeChanges { cursor event trades { id state why instrument { name } } } }"
UPGRADE = (
    b"GET /graphql/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """This process opens as many sockets as it can, and goes back to what it may otherwise."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    serving.allow_many_files()
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def files_of(running: Running) -> int:
    """How many files, sockets included, the web process has open."""
    return len(list(Path(f"/proc/{running.pid('web')}/fd").iterdir()))


def database_connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


@pytest.fixture
def plain(deployment: Running) -> Iterator[Callable[..., socket.socket]]:
    """Opens bare connections to the web process; all are closed after the test."""
    opened: list[socket.socket] = []

    def made(buffer: int = 0) -> socket.socket:
        one = socket.socket()
        opened.append(one)
        if buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        one.settimeout(60)
        one.connect(("127.0.0.1", deployment.port))
        return one

    yield made
    for one in opened:
        one.close()


@contextmanager
def subscribed(running: Running, app: LiveApp) -> Iterator[ClientConnection]:
    address = running.url.replace("http", "ws") + "/graphql/"
    with connect(address, subprotocols=["graphql-transport-ws"], close_timeout=1) as wire:  # type: ignore[list-item]
        say(wire, type="connection_init", payload={"authorization": f"Bearer {app.access}"})
        assert hear(wire)["type"] == "connection_ack"
        say(wire, id="1", type="subscribe", payload={"query": CHANGES})
        assert hear(wire)["type"] == "next"
        yield wire


def say(wire: ClientConnection, **message: Any) -> None:
    wire.send(json.dumps(message))


def hear(wire: ClientConnection) -> Any:
    return json.loads(wire.recv(30))


def is_answered(app: LiveApp) -> bool:
    return bool(app.data("{ me { name } }")["name"])


def test_a_thousand_sockets_opened_and_closed_leave_nothing(
    deployment: Running, app: LiveApp, plain: Plain
) -> None:
    with subscribed(deployment, app):
        pass
    files = files_of(deployment)
    for _ in range(10):
        wires = [plain() for _ in range(100)]
        for number, wire in enumerate(wires):
            wire.sendall(UPGRADE)
            init = json.dumps(
                {"type": "connection_init", "payload": {"authorization": f"Bearer {app.access}"}}
            )
            ask = json.dumps({"id": "1", "type": "subscribe", "payload": {"query": CHANGES}})
            read_until(wire, b"\r\n\r\n")
            if number % 4:  # a quarter only connects
                wire.sendall(framed(init) + framed(ask))
        for number, wire in enumerate(wires):
            if number % 4 == 1:
                read_until(wire, b'"next"')
            wire.close()  # without a word: what a phone in a tunnel does
    until(lambda: files_of(deployment) <= files + THREADS, "no file is left of a thousand sockets")
    until(lambda: database_connections() <= at_most(), "no database connection is left either")
    with subscribed(deployment, app):
        assert is_answered(app)


def at_most() -> int:
    """The connections of all processes of a deployment: threads of web, live and workers, and one each of the rest."""
    return THREADS + live._threads._max_workers + 6 + 12


def test_five_thousand_half_open_sockets_keep_nobody_from_being_answered(
    deployment: Running, app: LiveApp, plain: Plain
) -> None:
    wanted = min(5000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - len(os.listdir("/proc/self/fd")) - 200)
    files = files_of(deployment)
    for number in range(wanted):
        wire = plain()
        if number % 3 == 1:
            wire.sendall(b"POST /graphql/ HTTP/1.1\r\nHost: ")  # a header that never ends
    assert is_answered(app)
    assert is_answered(LiveApp(deployment).sign_up()), "new connections are taken"
    # Nobody told the server that they are gone, yet it lets go of them.
    until(lambda: files_of(deployment) <= files + THREADS, "half-open sockets are ended", 60)


def test_bodies_that_trickle_and_answers_that_nobody_reads_hold_no_thread(
    deployment: Running, app: LiveApp, plain: Plain
) -> None:
    many = 3 * THREADS
    trickling = [plain() for _ in range(many)]
    for wire in trickling:
        wire.sendall(
            b"POST /graphql/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"
        )
    greedy = [plain(4096) for _ in range(many)]
    for wire in greedy:  # asks for much, many times over, and reads nothing
        wire.sendall(b"GET /static/graphiql/graphiql.min.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 5)
    for _ in range(THREADS):
        assert is_answered(app)


def test_a_subscriber_that_never_reads_is_cut_off_and_those_who_read_hear_everything(
    deployment: Running, app: LiveApp, plain: Plain
) -> None:
    files = files_of(deployment)
    for _ in range(20):
        wire = plain(4096)
        wire.sendall(UPGRADE)
        read_until(wire, b"\r\n\r\n")
        # Each ping is answered, and no answer is read: soon the server's buffer for this socket is full.
        wire.setblocking(False)
        with suppress(BlockingIOError):
            for _ in range(100_000):
                wire.send(framed("x" * 125, opcode=9))
    with subscribed(deployment, app) as wire:
        placed = app.place()
        heard = Counter[str]()
        while heard["trade.opened"] == 0:
            heard[hear(wire)["payload"]["data"]["tradeChanges"]["event"]] += 1
        assert heard["trade.placed"] == 1 and placed["id"]
    until(lambda: files_of(deployment) <= files + THREADS, "deaf sockets are cut off", 60)


def test_a_flood_of_log_ins_leaves_others_their_answers(deployment: Running, app: LiveApp) -> None:
    def guess(number: int) -> str:
        body = {
            "query": LOG_IN,
            "variables": {"email": f"{world.key()}@example.com", "password": f"guess-{number}"},
        }
        answer = HTTP.post(f"{deployment.url}/graphql/", json=body, timeout=120)
        return str(answer.json()["data"]["logIn"]["code"])

    with ThreadPoolExecutor(40) as pool:
        guesses = [pool.submit(guess, number) for number in range(300)]
        answered = 0
        while not all(one.done() for one in guesses):
            assert is_answered(app)
            answered += 1
        codes = Counter(one.result() for one in guesses)
    assert set(codes) <= {"BAD_CREDENTIALS", "TOO_MANY_REQUESTS"} and codes.total() == 300
    assert answered > 10
    assert LiveApp(deployment).sign_up().access, "and whoever belongs here gets in"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("[]", 4400), ("1", 4400), ('{"type": 7}', 4400), ("{", 4400), ("[" * 50_000, 4400),
        ('{"type": "subscribe", "id": {}, "payload": {}}', 4400), ('{"type": "subscribe"}', 4400),
        ('{"type": "subscribe", "id": "1", "payload": {"query": "{ me }"}}', 4401),
        ('{"type": "complete", "id": []}', 4400), ('{"type": "connection_init", "payload": 7}', 4400),
        ("x" * 300_000, 1009),
    ],
)  # fmt: skip
def test_a_message_that_is_none_closes_its_socket_with_a_code(
    deployment: Running, message: str, code: int
) -> None:
    address = deployment.url.replace("http", "ws") + "/graphql/"
    with connect(address, subprotocols=["graphql-transport-ws"]) as wire:  # type: ignore[list-item]
        with suppress(ConnectionClosed):
            wire.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            wire.recv(30)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == code


BAD = [
    ({"query": "{ me { id } }"}, "WRONG_TRANSPORT"),
    ({"query": "mutation { logOut { __typename } }"}, "WRONG_TRANSPORT"),
    ({"query": "subscription { " + "a: tradeChanges { cursor } " * 16 + "}"}, "TOO_COSTLY"),
    ({"query": "subscription { tradeChanges { " + "cursor " * 300 + "} }"}, "TOO_COSTLY"),
    ({"documentId": "0" * 64}, "PERSISTED_QUERY_NOT_FOUND"),
    ({"query": CHANGES, "variables": []}, "INVALID_INPUT"),
    ({}, "INVALID_INPUT"),
    ({"query": CHANGES}, "NOT_AUTHENTICATED"),
]


def test_a_subscription_that_is_none_is_refused_with_its_code_and_the_socket_goes_on(
    deployment: Running,
) -> None:
    address = deployment.url.replace("http", "ws") + "/graphql/"
    with connect(address, subprotocols=["graphql-transport-ws"]) as wire:  # type: ignore[list-item]
        say(wire, type="connection_init")
        assert hear(wire)["type"] == "connection_ack"
        for number, (payload, code) in enumerate(BAD):
            say(wire, id=str(number), type="subscribe", payload=payload)
            answer = hear(wire)
            while answer["type"] == "complete":
                answer = hear(wire)
            errors = answer["payload"] if answer["type"] == "error" else answer["payload"]["errors"]
            assert errors[0]["extensions"]["code"] == code, payload
        say(wire, type="ping")
        found = (
            {hear(wire)["type"] for _ in range(2)} if code == "NOT_AUTHENTICATED" else {hear(wire)["type"]}
        )
        assert "pong" in found


def test_a_registered_document_is_subscribed_to_by_its_id(deployment: Running, app: LiveApp) -> None:
    from graphql_api import persisted

    address = deployment.url.replace("http", "ws") + "/graphql/"
    with connect(address, subprotocols=["graphql-transport-ws"]) as wire:  # type: ignore[list-item]
        say(wire, type="connection_init", payload={"authorization": f"Bearer {app.access}"})
        assert hear(wire)["type"] == "connection_ack"
        say(wire, id="1", type="subscribe", payload={"documentId": persisted.ids()["TradeChanges"]})
        assert hear(wire)["payload"]["data"]["tradeChanges"]["event"] == "present"


def test_no_defect_of_ours_was_logged_by_any_of_this(deployment: Running) -> None:
    """After all of the above: whatever strangers send, none of it is an error of the web process."""
    lines = [line for line in (deployment.logs / "web.log").read_text().splitlines() if line.startswith("{")]
    assert [line for line in lines if json.loads(line)["level"] in ("ERROR", "CRITICAL")] == []


def framed(text: str, opcode: int = 1) -> bytes:
    """A message as a client sends it, masked with zeros."""
    data = text.encode()
    size = (
        bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + len(data).to_bytes(2, "big")
    )
    return bytes([0x80 | opcode]) + size + bytes(4) + data


def read_until(wire: socket.socket, mark: bytes) -> None:
    found = b""
    while mark not in found:
        more = wire.recv(65536)
        assert more, found[-500:]
        found += more
