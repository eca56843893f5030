"""How many sockets somebody may hold, and that every place is given back, however a socket ends."""

import asyncio
import json

import pytest
from django.utils import timezone

from backoffice import sessions
from graphql_api import sockets
from graphql_api.websocket import application
from tests import world

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
TOO_MANY = ("websocket.close", 1013)


class Wire:
    """One socket, driven by hand below the web server."""

    def __init__(self, address, forwarded=""):
        headers = [(b"host", b"localhost"), (b"x-forwarded-for", forwarded.encode())]
        self.scope = {
            "type": "websocket", "path": "/graphql/", "raw_path": b"/graphql/", "query_string": b"", "headers": headers,
            "subprotocols": ["graphql-transport-ws"], "client": (address, 5000), "server": ("localhost", 80),
            "scheme": "ws", "root_path": "",
        }  # fmt: skip
        self.incoming, self.sent = asyncio.Queue(), asyncio.Queue()
        self.say({"type": "websocket.connect"})
        self.task = asyncio.create_task(application(self.scope, self.incoming.get, self.sent.put))

    def say(self, message):
        self.incoming.put_nowait(message)

    async def hear(self):
        """What it is told next: a close with its code, or the type of a message."""
        message = await asyncio.wait_for(self.sent.get(), 30)
        if message["type"] == "websocket.send":
            return json.loads(message["text"])["type"]
        return (
            (message["type"], message.get("code"))
            if message["type"] == "websocket.close"
            else message["type"]
        )

    async def begin(self, token):
        assert await self.hear() == "websocket.accept"
        payload = {"authorization": f"Bearer {token}"}
        self.say(
            {"type": "websocket.receive", "text": json.dumps({"type": "connection_init", "payload": payload})}
        )
        return await self.hear()

    async def leave(self):
        self.say({"type": "websocket.disconnect", "code": 1006})
        await self.task


@pytest.fixture
def few(settings):
    settings.CONFIG = settings.CONFIG.model_copy(
        update={"sockets_per_address": 2, "sockets_per_user": 1, "trusted_proxies": "10.0.0.0/8"}
    )
    yield
    assert len(sockets.addresses) == len(sockets.users) == 0, "every place was given back"


def token_of(user):
    return sessions.start(user, at=timezone.now()).access


def test_an_address_holds_so_many_sockets_and_another_one_when_one_has_ended(few):
    async def story():
        wires = [Wire("203.0.113.7"), Wire("203.0.113.7"), Wire("203.0.113.7"), Wire("198.51.100.1")]
        heard = [
            [await wire.hear() for _ in range(2 if number == 2 else 1)] for number, wire in enumerate(wires)
        ]
        assert heard == [
            ["websocket.accept"],
            ["websocket.accept"],
            ["websocket.accept", TOO_MANY],
            ["websocket.accept"],
        ]
        await wires[0].leave()
        again = Wire("203.0.113.7")
        assert await again.hear() == "websocket.accept"
        for wire in (wires[1], wires[3], again):
            await wire.leave()

    asyncio.run(story())


def test_behind_a_proxy_callers_are_told_apart(few):
    async def story():
        wires = [Wire("10.0.0.1", forwarded=f"6.6.6.6, 203.0.113.{n}") for n in range(4)]
        for wire in wires:
            assert await wire.hear() == "websocket.accept"
        for wire in wires:
            await wire.leave()

    asyncio.run(story())


def test_a_user_holds_so_many_sockets_wherever_they_are(few):
    tokens = [token_of(world.client().user) for _ in range(2)]

    async def story():
        mine, more, theirs = Wire("203.0.113.1"), Wire("203.0.113.2"), Wire("203.0.113.3")
        assert await mine.begin(tokens[0]) == "connection_ack"
        assert await more.begin(tokens[0]) == TOO_MANY
        assert await theirs.begin(tokens[1]) == "connection_ack"
        await more.leave()
        await mine.leave()
        again = Wire("203.0.113.2")
        assert await again.begin(tokens[0]) == "connection_ack"
        for wire in (theirs, again):
            await wire.leave()

    asyncio.run(story())


def test_a_token_of_nobody_s_takes_no_user_s_place(few):
    async def story():
        wires = [Wire("203.0.113.1"), Wire("203.0.113.1")]
        for wire in wires:
            assert await wire.begin("nonsense") == "connection_ack"
        assert len(sockets.users) == 0
        for wire in wires:
            await wire.leave()

    asyncio.run(story())
