"""Whatever the venue sends, the client goes on, and says plainly what it does not know."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from brokerage.deriv.errors import (
    AnswerTimeout,
    ConnectionLost,
    FellBehind,
    MalformedAnswer,
    NotAuthorized,
    NotSent,
    OutcomeUnknown,
    Refused,
    VenueError,
)
from brokerage.deriv.settings import Settings
from brokerage.deriv.v3 import connect
from tests.brokerage.deriv.hostile import QUICK, answer, hostile_venue, soon
from tests.brokerage.deriv.running import free_port

PURCHASE = {
    "contract_id": 1,
    "transaction_id": 2,
    "buy_price": 10,
    "payout": 19.53,
    "balance_after": 90,
    "purchase_time": 3,
    "start_time": 3,
    "shortcode": "s",
    "longcode": "l",
}
TICK = {"symbol": "R_100", "epoch": 1, "quote": 1.5, "pip_size": 2}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"buy": None},
        {"buy": []},
        {"buy": {**PURCHASE, "buy_price": "10"}},
        {"buy": {**PURCHASE, "buy_price": True}},
        {"buy": {**PURCHASE, "contract_id": 1.0}},
        {"buy": {**PURCHASE, "contract_id": None}},
        {"buy": {key: value for key, value in PURCHASE.items() if key != "balance_after"}},
        {"buy": PURCHASE, "msg_type": "sell"},
        {"buy": PURCHASE, "msg_type": ["buy"]},
        {"buy": PURCHASE, "msg_type": None},
        {"error": None},
        {"error": "no"},
        {"error": {"message": "no code"}},
    ],
)
def test_a_malformed_answer_to_a_purchase_is_an_unknown_outcome(body: dict[str, Any]) -> None:
    async def reply(socket: ServerConnection, request: dict[str, Any]) -> None:
        await socket.send(answer(request, **body))

    async def story() -> None:
        async with hostile_venue(reply) as client:
            with pytest.raises(MalformedAnswer) as problem:
                await client.buy("x" * 32, Decimal(10))
            assert isinstance(problem.value, OutcomeUnknown)
            await client.ping()

    asyncio.run(story())


NONSENSE: list[str | bytes] = [
    "",
    "{",
    "[]",
    "null",
    "7",
    "[" * 50_000,
    '{"req_id": 1e99999}',
    '{"req_id": NaN}',
    '{"req_id": true, "msg_type": "time", "time": 5}',
    '{"req_id": "1", "msg_type": "time", "time": 5}',
    '{"req_id": [1], "msg_type": {}}',
    '{"req_id": 999999, "msg_type": "time", "time": 5}',
    '{"msg_type": "time", "time": 5}',
    '{"subscription": {"id": 5}, "msg_type": "tick"}',
    '{"subscription": [], "msg_type": "tick"}',
    b"\xff\xfe",
    '{"x": "' + "y" * 50_000 + '"}',
]


def test_frames_nobody_asked_for_are_counted_and_dropped() -> None:
    async def reply(socket: ServerConnection, request: dict[str, Any]) -> None:
        for text in NONSENSE:
            await socket.send(text)
        await socket.send(answer(request, time=1_795_262_400))
        await socket.send(answer(request, time=5))  # a second answer

    async def story() -> None:
        async with hostile_venue(reply) as client:
            assert await client.time() == 1_795_262_400
            await client.ping()
            assert (client.counters.unreadable, client.counters.unexpected) == (9, 9)

    asyncio.run(story())


def test_nonsense_in_a_stream_is_dropped_and_the_stream_goes_on() -> None:
    async def reply(socket: ServerConnection, request: dict[str, Any]) -> None:
        if "ticks" not in request:
            return
        head = {"msg_type": "tick", "subscription": {"id": "a" * 32}}
        ticks: tuple[Any, ...] = (
            TICK,
            {**TICK, "quote": "1.6"},
            {**TICK, "epoch": None},
            [],
            {**TICK, "quote": 1.70},
        )
        for tick in ticks:
            await socket.send(answer(request, tick=tick, **head))

    async def story() -> None:
        async with hostile_venue(reply) as client:
            ticks = await client.ticks("R_100")
            assert [(await anext(ticks)).quote, (await anext(ticks)).quote] == [
                Decimal("1.5"),
                Decimal("1.7"),
            ]
            assert client.counters.malformed == 3
            await ticks.close()

    asyncio.run(story())


def test_an_error_ends_a_stream_but_not_that_of_all_contracts() -> None:
    async def reply(socket: ServerConnection, request: dict[str, Any]) -> None:
        error = {"error": {"code": "MarketIsClosed", "message": "closed"}}
        if "ticks" in request:
            await socket.send(answer(request, msg_type="tick", tick=TICK))
            await socket.send(answer(request, msg_type="tick", **error))
        elif "proposal_open_contract" in request:
            await socket.send(answer(request, proposal_open_contract={}))
            await socket.send(answer(request, **error))

    async def story() -> None:
        async with hostile_venue(reply) as client:
            ticks = await client.ticks("R_100")
            await anext(ticks)
            for _ in range(2):
                with pytest.raises(Refused, match="MarketIsClosed"):
                    await anext(ticks)
            contracts = await client.follow_contracts()
            await soon(lambda: contracts.errors == 1)
            await contracts.close()
            with pytest.raises(StopAsyncIteration):
                await anext(contracts)

    asyncio.run(story())


def test_one_stream_id_for_each_contract_is_understood_too() -> None:
    forgotten: list[str] = []

    async def reply(socket: ServerConnection, request: dict[str, Any]) -> None:
        if "forget" in request:
            forgotten.append(request["forget"])
            await socket.send(answer(request, forget=1))
            return
        for number in (1, 2):
            state = {
                "contract_id": number,
                "status": "open",
                "is_sold": 0,
                "is_expired": 0,
                "is_valid_to_sell": 0,
                "contract_type": "CALL",
                "underlying": "R_100",
                "currency": "USD",
                "buy_price": 10,
                "payout": 19.53,
                "purchase_time": 1,
                "date_start": 1,
                "transaction_ids": {"buy": number},
                "shortcode": "s",
                "longcode": "l",
            }
            head = {"subscription": {"id": str(number) * 32}}
            await socket.send(answer(request, proposal_open_contract=state, **head))

    async def story() -> None:
        async with hostile_venue(reply) as client:
            contracts = await client.follow_contracts()
            assert [(await anext(contracts)).contract_id for _ in range(2)] == [1, 2]
            await contracts.close()
            await soon(lambda: sorted(forgotten) == ["1" * 32, "2" * 32])

    asyncio.run(story())


def test_a_stream_read_too_slowly_says_so_and_is_given_up() -> None:
    forgotten: list[str] = []

    async def reply(socket: ServerConnection, request: dict[str, Any]) -> None:
        if "forget" in request:
            forgotten.append(request["forget"])
            await socket.send(answer(request, forget=1))
            return
        for _ in range(QUICK.queue + 5):
            await socket.send(answer(request, msg_type="tick", tick=TICK, subscription={"id": "b" * 32}))

    async def story() -> None:
        async with hostile_venue(reply) as client:
            ticks = await client.ticks("R_100")
            await soon(lambda: "b" * 32 in forgotten)
            read = 0
            with pytest.raises(FellBehind):
                async for _ in ticks:
                    read += 1
            assert read == QUICK.queue

    asyncio.run(story())


def test_no_answer_is_an_unknown_outcome_and_a_late_one_is_dropped() -> None:
    late: list[tuple[ServerConnection, dict[str, Any]]] = []

    async def reply(socket: ServerConnection, request: dict[str, Any]) -> None:
        late.append((socket, request))

    async def story() -> None:
        async with hostile_venue(reply) as client:
            with pytest.raises(AnswerTimeout):
                await client.buy("x" * 32, Decimal(10))
            socket, request = late[0]
            await socket.send(answer(request, buy=PURCHASE))
            await soon(lambda: client.counters.unexpected == 1)
            with pytest.raises(AnswerTimeout):
                await client.ticks("R_100")
            socket, request = late[1]
            await socket.send(answer(request, msg_type="tick", tick=TICK, subscription={"id": "c" * 32}))
            await soon(lambda: len(late) == 3)
            assert late[2][1]["forget"] == "c" * 32  # a stream nobody waits for any more is ended

    asyncio.run(story())


@pytest.mark.parametrize("way", ["close", "abort", "huge frame"])
def test_a_broken_connection_is_known_at_once_everywhere(way: str) -> None:
    async def reply(socket: ServerConnection, request: dict[str, Any]) -> None:
        if "ticks" in request:
            await socket.send(answer(request, msg_type="tick", tick=TICK))
        elif way == "close":
            await socket.close()
        elif way == "abort":
            socket.transport.abort()
        else:
            await socket.send(json.dumps({"x": "y" * 200_000}))

    async def story() -> None:
        async with hostile_venue(reply) as client:
            ticks = await client.ticks("R_100")
            with pytest.raises(ConnectionLost):
                await client.buy("x" * 32, Decimal(10))
            await asyncio.wait_for(client.wait_lost(), 1)
            assert not client.is_up
            assert (await anext(ticks)).quote == Decimal("1.5")
            with pytest.raises(ConnectionLost):
                await anext(ticks)
            with pytest.raises(NotSent):
                await client.buy("x" * 32, Decimal(10))

    asyncio.run(story())


def test_a_venue_that_no_longer_answers_pings_is_lost() -> None:
    async def reply(socket: ServerConnection, request: dict[str, Any]) -> None:
        if "ticks" in request:
            await socket.send(answer(request, msg_type="tick", tick=TICK))

    async def story() -> None:
        async with hostile_venue(reply, Settings(ping_every=0.05, pong_within=0.1)) as client:
            ticks = await client.ticks("R_100")
            buying = asyncio.create_task(client.buy("x" * 32, Decimal(10)))
            await asyncio.wait_for(client.wait_lost(), 2)
            with pytest.raises(ConnectionLost):
                await buying
            with pytest.raises(ConnectionLost):
                async for _ in ticks:
                    pass

    asyncio.run(story())


def test_no_venue_at_all() -> None:
    async def story() -> None:
        with pytest.raises(NotSent):
            await connect(f"ws://127.0.0.1:{free_port()}/websockets/v3", 1)
        with pytest.raises(NotSent):
            await connect("http://127.0.0.1/", 1)

    asyncio.run(story())


@pytest.mark.parametrize(("status", "kind"), [(401, NotAuthorized), (503, NotSent)])
def test_a_venue_that_turns_us_away(status: int, kind: type[VenueError]) -> None:
    from http import HTTPStatus

    from websockets.asyncio.server import serve
    from websockets.http11 import Request, Response

    def refuse(socket: ServerConnection, request: Request) -> Response:
        return socket.respond(HTTPStatus(status), "no")

    async def handle(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async def story() -> None:
        async with serve(handle, "127.0.0.1", 0, process_request=refuse) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            with pytest.raises(kind):
                await connect(f"ws://127.0.0.1:{port}/websockets/v3", 1)

    asyncio.run(story())


def test_a_failing_hook_costs_nothing() -> None:
    async def reply(socket: ServerConnection, request: dict[str, Any]) -> None:
        await socket.send(answer(request, time=5))

    def hook(direction: str, frame: dict[str, Any]) -> None:
        raise RuntimeError("broken log")

    async def story() -> None:
        async with hostile_venue(reply) as client:
            client._connection._on_message = hook
            assert await client.time() == 5
            assert client.counters.hook_failures == 2

    asyncio.run(story())


def test_a_closed_stream_has_ended_at_the_venue() -> None:
    done: list[str] = []

    async def reply(socket: ServerConnection, request: dict[str, Any]) -> None:
        if "forget" in request:
            await asyncio.sleep(0.05)  # the venue takes its time
            done.append(request["forget"])
            await socket.send(answer(request, forget=1))
        else:
            await socket.send(answer(request, msg_type="tick", tick=TICK, subscription={"id": "d" * 32}))

    async def story() -> None:
        async with hostile_venue(reply) as client:
            ticks = await client.ticks("R_100")
            await ticks.close()
            assert done == ["d" * 32]

    asyncio.run(story())
