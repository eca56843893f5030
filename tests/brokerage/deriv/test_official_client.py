"""Deriv's own clients, unchanged, trade against the simulator in both generations of the protocol."""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from brokerage.deriv.simulator.v3.generation import V3
from tests.brokerage.deriv.running import ROOT, SimulatorProcess
from tests.brokerage.deriv.schemas import Recorder
from tests.brokerage.deriv.talking import one_time_address

pytestmark = pytest.mark.processes

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "official_client_requirements.txt"
JAVASCRIPT = HERE / "official_client_js"


@contextmanager
def made_once(folder: Path, *sources: Path) -> Iterator[bool]:
    """Whether the folder must be made anew; it is kept from then on if nothing goes wrong. One process at a time."""
    folder.parent.mkdir(exist_ok=True)
    wanted = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    made = folder / "made-from"
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_stale = not made.exists() or made.read_text() != wanted
        yield is_stale
        if is_stale:
            made.write_text(wanted)


def install(*command: str, **options: Any) -> None:
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        pytest.skip(f"Deriv's client cannot be installed here: {done.stderr.strip()[-300:]}")


@pytest.fixture(scope="session")
def python_client() -> list[str]:
    """The command of its script, in an environment with the client in it."""
    folder = ROOT / ".data" / "deriv-client-venv"
    python = folder / "bin" / "python"
    with made_once(folder, REQUIREMENTS) as is_stale:
        if is_stale:
            install(sys.executable, "-m", "venv", str(folder))
            pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            install(*pip, "-r", str(REQUIREMENTS))
    return [str(python), str(HERE / "official_client_script.py")]


@pytest.fixture(scope="session")
def javascript_client() -> list[str]:
    """The command of its script, beside the packages it needs."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not on this machine, so Deriv's JavaScript client cannot run")
    folder = ROOT / ".data" / "deriv-client-js"
    sources = [JAVASCRIPT / name for name in ("package.json", "package-lock.json")]
    with made_once(folder, *sources) as is_stale:
        if is_stale:
            folder.mkdir(exist_ok=True)
            for source in sources:
                shutil.copy(source, folder)
            quietly = ("--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            quietly += ("--fetch-retries=1",)
            install(npm, "ci", *quietly, cwd=folder)
    # The script looks for packages from where it lies.
    return [node, shutil.copy(JAVASCRIPT / "story.js", folder)]


def run(venue: SimulatorProcess, command: Sequence[str], arguments: Sequence[str], generation: str) -> Any:
    """What the script saw. Every frame it sent or received is checked against its published schema."""
    done = subprocess.run([*command, generation, *arguments], capture_output=True, text=True, timeout=55)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    recorder = Recorder(generation)
    for frame in result["frames"]["send"]:
        call = next(name for name in frame if name in V3.calls)
        recorder.sent({call: frame[call], **frame})
    for frame in result["frames"]["message"]:
        recorder.received(frame)
    assert len(recorder.counts) >= 16
    return result["seen"]


def is_won(settled: dict[str, Any]) -> bool:
    """By the spots, in the words of the generation."""
    entry, end = (
        Decimal(str(settled.get(f"{name}_tick", settled.get(f"{name}_spot")))) for name in ("entry", "exit")
    )
    return end > entry


@pytest.mark.parametrize("generation", ["v3", "v4"])
def test_a_session_with_deriv_s_own_python_client(
    venue: SimulatorProcess, account: dict[str, Any], python_client: list[str], generation: str
) -> None:
    opened = [f"ws://127.0.0.1:{venue.port}", account["token"]]
    arguments = opened if generation == "v3" else [one_time_address(venue, account)]
    seen = run(venue, python_client, arguments, generation)

    assert seen["ping"] == "pong" and len(seen["ticks"]) == 3
    if generation == "v3":
        assert seen["authorize"]["loginid"] == account["login_id"]
    settled = seen["settled"]
    assert settled["status"] == ("won" if is_won(settled) else "lost")
    assert "InvalidContractProposal" in seen["used_proposal"] or "no such proposal" in seen["used_proposal"]
    (held,) = seen["portfolio"]
    assert held["contract_id"] == seen["sold"]["contract_id"]
    assert {row["contract_id"] for row in seen["profit_table"]} == {
        settled["contract_id"],
        held["contract_id"],
    }

    lines = seen["statement"][::-1]
    first = "virtual_credit" if generation == "v3" else "deposit"
    assert [line["action_type"] for line in lines] == [first, "buy", "sell", "buy", "sell"]
    books = venue.books(account["login_id"])
    assert [f"{line['amount']:.2f}" for line in lines] == [line["amount"] for line in books["lines"]]
    assert sum(Decimal(line["amount"]) for line in books["lines"]) == Decimal(
        f"{seen['balance']['balance']:.2f}"
    )


@pytest.mark.parametrize("generation", ["v3", "v4"])
def test_a_session_with_deriv_s_own_javascript_client(
    venue: SimulatorProcess, account: dict[str, Any], javascript_client: list[str], generation: str
) -> None:
    opened = [f"{venue.socket_url}?app_id=1234", account["token"]]
    arguments = opened if generation == "v3" else [one_time_address(venue, account)]
    seen = run(venue, javascript_client, arguments, generation)

    assert seen["ping"] == "pong" and len(seen["ticks"]) == 3
    if generation == "v3":
        assert seen["login_id"] == account["login_id"]
    settled = seen["settled"]
    assert settled["status"] == ("won" if is_won(settled) else "lost")
    assert seen["used_proposal"] == "InvalidContractProposal"
    books = venue.books(account["login_id"])
    ended = [settled["contract_id"], *([seen["second"]] if generation == "v3" else [])]
    assert [contract["contract_id"] for contract in books["contracts"]] == ended
    assert {contract["status"] for contract in books["contracts"]} <= {"won", "lost"}
    assert [line["action"] for line in books["lines"]] == ["virtual_credit", *["buy", "sell"] * len(ended)]
    assert f"{seen['balance']['balance']:.2f}" == books["account"]["balance"]
