"""Deriv's own Python client, unchanged, trades against the simulator."""

import fcntl
import hashlib
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.brokerage.deriv.running import ROOT, SimulatorProcess
from tests.brokerage.deriv.schemas import Recorder

pytestmark = pytest.mark.processes

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "official_client_requirements.txt"


@pytest.fixture(scope="session")
def official_python() -> Path:
    """The interpreter of an environment with the client in it, made once and kept."""
    folder = ROOT / ".data" / "deriv-client-venv"
    folder.parent.mkdir(exist_ok=True)
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    made, python = folder / "made-from", folder / "bin" / "python"
    with (folder.parent / "deriv-client-venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists() or made.read_text() != wanted:
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, "-r", str(REQUIREMENTS)]):
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode != 0:
                    pytest.skip(f"Deriv's client cannot be installed here: {done.stderr.strip()[-300:]}")
            made.write_text(wanted)
    return python


def test_a_session_with_deriv_s_own_client(
    venue: SimulatorProcess, account: dict[str, Any], official_python: Path
) -> None:
    script = [str(official_python), str(HERE / "official_client_script.py")]
    done = subprocess.run(
        [*script, f"ws://127.0.0.1:{venue.port}", account["token"]],
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    seen = result["seen"]

    assert seen["authorize"]["loginid"] == account["login_id"] and seen["ping"] == "pong"
    assert len(seen["ticks"]) == 3
    settled = seen["settled"]
    assert settled["status"] == ("won" if settled["exit_tick"] > settled["entry_tick"] else "lost")
    assert "InvalidContractProposal" in seen["used_proposal"] or "no such proposal" in seen["used_proposal"]
    (held,) = seen["portfolio"]
    assert held["contract_id"] == seen["sold"]["contract_id"]
    assert {row["contract_id"] for row in seen["profit_table"]} == {
        settled["contract_id"],
        held["contract_id"],
    }

    lines = seen["statement"][::-1]
    assert [line["action_type"] for line in lines] == ["virtual_credit", "buy", "sell", "buy", "sell"]
    books = venue.books(account["login_id"])
    assert [f"{line['amount']:.2f}" for line in lines] == [line["amount"] for line in books["lines"]]
    assert sum(Decimal(line["amount"]) for line in books["lines"]) == Decimal(
        f"{seen['balance']['balance']:.2f}"
    )

    recorder = Recorder()
    for frame in result["frames"]["send"]:
        recorder.sent(frame)
    for frame in result["frames"]["message"]:
        recorder.received(frame)
    assert len(recorder.counts) >= 30
