"""A real custodian simulator for tests: started, killed with its books kept, told to misbehave."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import httpx

from backoffice.configuration import ROOT
from tests.running import HTTP, free_port, until


class Desk:
    """The desk of a simulator that runs somewhere. Asks again while it is away: another fault may have killed it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str, **body: Any) -> Any:
        def answer() -> httpx.Response | None:
            try:
                return HTTP.request(method, f"{self.url}/{path}", json=body or None)
            except httpx.TransportError:
                return None

        found = until(answer, "the custodian answers")
        assert found.is_success, found.text
        return found.json()

    def fault(self, fault: str, **given: Any) -> None:
        self.ask("POST", "simulator/faults", fault=fault, **given)

    def books(self) -> Any:
        return self.ask("GET", "simulator/books")

    def address(self, customer: str, currency: str = "BTC", network: str = "bitcoin") -> str:
        found = self.ask("POST", "v1/addresses", customer=customer, currency=currency, network=network)
        return str(found["address"])

    def send(self, address: str, amount: str, **given: Any) -> str:
        """Somebody sends coins; the transaction's id."""
        return str(self.ask("POST", "simulator/coins", address=address, amount=amount, **given)["txid"])

    def mine(self, count: int = 1) -> None:
        self.ask("POST", "simulator/blocks", count=count)


class CustodianProcess(Desk):
    """One simulator on its own port and file, where a block is mined only when told. Not started twice at once."""

    def __init__(self, data: Path, *options: str) -> None:
        self.port = free_port()
        super().__init__(f"http://127.0.0.1:{self.port}")
        self.data, self.options = data, options
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        command = [sys.executable, "-m", "ledger.custodian.simulator", "--port", str(self.port)]
        with self.data.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--data", str(self.data), "--block-seconds", "0", *self.options],
                cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log,
            )  # fmt: skip
        self.ask("GET", "simulator/health")
        return self

    def kill(self) -> None:
        """The hard way: no signal handler runs."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *given: object) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(10)
