"""The simulator as a process: control interface, faults, limits, idle sockets, signals, kill -9."""

import asyncio
import json
import subprocess
import sys
import urllib.error
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.brokerage.deriv.running import ROOT, SimulatorProcess, eventually, free_port
from tests.brokerage.deriv.talking import TERMS, TIMED, talk

pytestmark = pytest.mark.processes

Account = dict[str, Any]
BUY = {"buy": "1", "price": 10, "parameters": TIMED}


def status_of(action: Any, *arguments: Any, **fields: Any) -> int:
    with pytest.raises(urllib.error.HTTPError) as refused:
        action(*arguments, **fields)
    assert "error" in json.loads(refused.value.read())
    return refused.value.code


def actions(venue: SimulatorProcess, account: Account) -> list[str]:
    return [line["action"] for line in venue.books(account["login_id"])["lines"]]


def test_the_same_account_for_the_same_name(venue: SimulatorProcess) -> None:
    first = venue.open_account("twice", balance="123.45", currency="EUR", is_demo=False)
    assert first == venue.open_account("twice", balance="999.00", currency="EUR", is_demo=False)
    assert first["login_id"].startswith("CR") and first["balance"] == "123.45"
    books = venue.books(first["login_id"])
    assert [line["amount"] for line in books["lines"]] == ["123.45"]
    assert status_of(venue.open_account, "twice", currency="USD") == 409


@pytest.mark.parametrize(
    "fields",
    [
        {"balance": 5},
        {"balance": "x"},
        {"balance": "-1"},
        {"balance": "1.005"},
        {"balance": "Infinity"},
        {"currency": "XYZ"},
        {"is_demo": "yes"},
        {"scopes": ["everything"]},
        {"surprise": 1},
    ],
)
def test_an_account_that_makes_no_sense(venue: SimulatorProcess, fields: dict[str, Any]) -> None:
    assert status_of(venue.open_account, "nonsense", **fields) == 422


def test_unknown_books_and_rules(venue: SimulatorProcess) -> None:
    assert status_of(venue.books, "VRTC1") == 404
    assert status_of(venue.control, "POST", "faults", {"fault": "explode"}) == 422
    assert status_of(venue.control, "POST", "faults", {"fault": "delay", "seconds": "long"}) == 422
    assert status_of(venue.control, "POST", "faults", [1]) == 400


@pytest.mark.parametrize(
    ("fault", "bought"), [("drop_before_purchase", False), ("drop_after_purchase", True)]
)
def test_a_dropped_connection(venue: SimulatorProcess, account: Account, fault: str, bought: bool) -> None:
    venue.fault(fault, "buy", account["login_id"])

    async def story() -> None:
        async with talk(venue, account) as wire:
            await wire.ask({"transaction": 1, "subscribe": 1})
            with pytest.raises(ConnectionClosed):
                await wire.ask(BUY)
            assert [frame["msg_type"] for frame in wire.frames] == ["authorize", "transaction"]
        async with talk(venue, account) as wire:
            held = (await wire.ask({"portfolio": 1}))["portfolio"]["contracts"]
            assert len(held) == int(bought)
            assert "buy" in await wire.ask(BUY)  # the rule is used up

    asyncio.run(story())
    assert actions(venue, account).count("buy") == 1 + int(bought)


def test_a_lost_answer(venue: SimulatorProcess, account: Account) -> None:
    venue.fault("lose_answer", "buy", account["login_id"])

    async def story() -> None:
        async with talk(venue, account) as wire:
            await wire.ask({"transaction": 1, "subscribe": 1})
            await wire.socket.send(json.dumps({**BUY, "req_id": 500}))
            moved = await wire.until(lambda frame: frame.get("transaction", {}).get("action") == "buy")
            assert (await wire.ask({"ping": 1}))["ping"] == "pong"
            assert 500 not in [frame["req_id"] for frame in wire.frames]
            assert moved["transaction"]["amount"] == -10.0

    asyncio.run(story())
    assert actions(venue, account) == ["virtual_credit", "buy"]


def test_a_refusal_and_a_delay_on_request(venue: SimulatorProcess, account: Account) -> None:
    venue.fault("refuse", "buy", account["login_id"], code="RateLimit", times=2)
    venue.fault("delay", "balance", account["login_id"], seconds=0.3)

    async def story() -> None:
        async with talk(venue, account) as wire:
            assert [await wire.refusal(BUY), await wire.refusal(BUY)] == ["RateLimit", "RateLimit"]
            await wire.socket.send(json.dumps({"balance": 1, "req_id": 900}))
            assert (await wire.ask({"ping": 1, "req_id": 901}))["ping"] == "pong"
            await wire.until(lambda frame: frame["req_id"] == 900)
            assert [frame["req_id"] for frame in wire.frames[-2:]] == [901, 900]

    asyncio.run(story())
    assert actions(venue, account) == ["virtual_credit"]
    rules = venue.control("GET", "faults")["faults"]
    assert (rules[-1]["fault"], rules[-1]["times"], rules[-1]["hits"]) == ("delay", 0, 1)


def test_request_limits_and_the_secret(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "v.sqlite3", 20, "--control-secret", "s3cret") as venue:
        assert status_of(venue.open_account, "a") == 401
        account = venue.control("PUT", "accounts/a", {}, Authorization="Bearer s3cret")

        async def story() -> None:
            async with talk(venue, account) as wire:
                for _ in range(25):
                    assert "statement" in await wire.ask({"statement": 1})
                assert await wire.refusal({"portfolio": 1}) == "RateLimit"
            async with talk(venue, account) as wire:  # a new connection is no new minute
                assert await wire.refusal({"portfolio": 1}) == "RateLimit"
                assert "balance" in await wire.ask({"balance": 1})
                for amount in range(10, 15):
                    assert "proposal" in await wire.ask(
                        {"proposal": 1, **TERMS, "amount": amount, "subscribe": 1}
                    )
                request = {"proposal": 1, **TERMS, "amount": 15, "subscribe": 1}
                assert await wire.refusal(request) == "RateLimit"

        asyncio.run(story())
        assert "s3cret" not in venue.log.read_text()


def test_killed_in_the_middle_of_a_contract(tmp_path: Path) -> None:
    venue = SimulatorProcess(tmp_path / "v.sqlite3", 20, "--no-limits")
    venue.start()
    account = venue.open_account("client")

    async def before() -> list[Any]:
        async with talk(venue, account) as wire:
            bought = await wire.ask({"buy": "1", "price": 10, "parameters": {**TERMS, "duration": 10}})
            long = await wire.ask({"buy": "1", "price": 10, "parameters": TIMED})
            venue.kill()  # with both answers in hand: they must be in the books
            return [bought["buy"], long["buy"]]

    short, long = asyncio.run(before())
    venue.start()
    try:
        assert venue.open_account("client")["token"] == account["token"]

        def settled() -> Any:
            contracts = venue.books(account["login_id"])["contracts"]
            return contracts if contracts[0]["status"] in ("won", "lost") else None

        done, open_still = eventually(settled)
        assert (done["contract_id"], done["payout"]) == (short["contract_id"], f"{short['payout']:.2f}")
        assert (open_still["contract_id"], open_still["status"]) == (long["contract_id"], "open")
        books = venue.books(account["login_id"])
        running = Decimal(0)
        for line in books["lines"]:
            running += Decimal(line["amount"])
            assert Decimal(line["balance_after"]) == running
        assert Decimal(books["account"]["balance"]) == running
        assert [line["action"] for line in books["lines"]] == ["virtual_credit", "buy", "buy", "sell"]
    finally:
        assert venue.stop() == 0


def test_a_restart_goes_on_with_the_same_ticks(tmp_path: Path) -> None:
    venue = SimulatorProcess(tmp_path / "v.sqlite3", 20)

    async def history(end: str, start: int | None = None) -> dict[int, list[float]]:
        async with talk(venue) as wire:
            request = {"ticks_history": "R_100", "end": end, "count": 100}
            answer = (await wire.ask(request))["history"]
        by_epoch: dict[int, list[float]] = {}
        for epoch, price in zip(answer["times"], answer["prices"], strict=True):
            by_epoch.setdefault(epoch, []).append(price)
        return by_epoch

    venue.start()
    before = asyncio.run(history("latest"))
    venue.kill()
    venue.start()
    try:
        until = max(before) - 1
        after = asyncio.run(history(str(until)))
        common = sorted(set(before) & set(after))[1:-1]
        assert len(common) > 10
        assert [before[epoch] for epoch in common] == [after[epoch] for epoch in common]
    finally:
        venue.stop()
    other_seed = [sys.executable, "-m", "brokerage.deriv.simulator", "--seed", "8", "--data", str(venue.data)]
    refused = subprocess.run(
        [*other_seed, "--port", str(free_port())], cwd=ROOT, capture_output=True, text=True
    )
    assert refused.returncode == 1 and "made with seed 7, not 8" in refused.stderr.splitlines()[-1]


def test_a_busy_port_is_one_sentence(venue: SimulatorProcess, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "brokerage.deriv.simulator", "--port", str(venue.port)]
    taken = subprocess.run(
        [*command, "--data", str(tmp_path / "x.sqlite3")], cwd=ROOT, capture_output=True, text=True
    )
    assert taken.returncode == 1
    assert taken.stderr.startswith(f"deriv_simulator: port {venue.port} on 127.0.0.1 cannot be used")
    assert len(taken.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "another simulator"), (b"not a database" * 99, "cannot be opened")]
)
def test_books_that_cannot_be_used_are_one_sentence(
    venue: SimulatorProcess, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    data = venue.data if content is None else tmp_path / "x.sqlite3"
    if content is not None:
        data.write_bytes(content)
    command = [
        sys.executable,
        "-m",
        "brokerage.deriv.simulator",
        "--port",
        str(free_port()),
        "--data",
        str(data),
    ]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode == 1
    assert reason in refused.stderr and len(refused.stderr.splitlines()) == 1


def test_the_management_command_takes_its_defaults_from_the_settings(
    venue: SimulatorProcess, tmp_path: Path
) -> None:
    program = (
        "from django.conf import settings; import sys\n"
        f"settings.configure(DERIV_SIM_PORT={venue.port}, DERIV_SIM_DATA={str(tmp_path / 'x.sqlite3')!r})\n"
        "from brokerage.management.commands.deriv_simulator import Command\n"
        "Command().run_from_argv(['manage.py', 'deriv_simulator'])\n"
    )
    taken = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert taken.returncode == 1
    assert f"port {venue.port} on 127.0.0.1 cannot be used" in taken.stderr
    assert len(taken.stderr.splitlines()) == 1


def test_sigterm_with_open_connections_is_a_clean_end(tmp_path: Path) -> None:
    async def story() -> None:
        with SimulatorProcess(tmp_path / "v.sqlite3", 20) as venue:
            account = venue.open_account("a")
            async with talk(venue, account) as wire:
                await wire.ask({"ticks": "R_100", "subscribe": 1})
                loop = asyncio.get_running_loop()
                stopping = loop.run_in_executor(None, venue.stop)
                with pytest.raises(ConnectionClosed):
                    await wire.until(lambda frame: False)
                assert await stopping == 0
            assert "Traceback" not in venue.log.read_text()

    asyncio.run(story())


def test_a_silent_connection_is_closed_and_an_open_network_needs_the_secret(tmp_path: Path) -> None:
    options = ("--idle-seconds", "0.3", "--host", "0.0.0.0")
    with SimulatorProcess(tmp_path / "v.sqlite3", 20, *options) as venue:
        assert status_of(venue.open_account, "a") == 403

        async def story() -> None:
            async with talk(venue) as wire:
                await wire.ask({"ticks": "R_100", "subscribe": 1})
                with pytest.raises(ConnectionClosed) as closed:  # what the venue sends does not count
                    await wire.until(lambda frame: False)
                assert closed.value.rcvd is not None and closed.value.rcvd.code == 1000

        asyncio.run(story())


def test_it_tells_how_many_connections_each_account_has_and_ever_had_at_once(
    venue: SimulatorProcess, account: Account
) -> None:
    login_id = account["login_id"]

    def told() -> Any:
        return venue.control("GET", "connections").get(login_id)

    async def story() -> None:
        assert told() is None
        async with talk(venue, account):
            assert told() == {"now": 1, "most": 1}
            async with talk(venue, account) as second:
                assert told() == {"now": 2, "most": 2}
                await second.ask({"logout": 1})
                assert told() == {"now": 1, "most": 2}

    asyncio.run(story())
    eventually(lambda: told() == {"now": 0, "most": 2})


def test_it_tells_how_many_requests_were_one_too_many(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "venue.sqlite3") as venue:

        async def story() -> None:
            async with talk(venue) as wire:
                for _ in range(80):
                    await wire.ask({"proposal": 1, **TERMS})
                assert venue.control("GET", "limits") == {}
                assert await wire.refusal({"proposal": 1, **TERMS}) == "RateLimit"

        asyncio.run(story())
        assert venue.control("GET", "limits") == {"pricing": 1}
