"""`make run` as a person meets it: real processes, a data folder and ports of their own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backoffice import embedded
from backoffice.configuration import ROOT, Configuration
from backoffice.embedded.processes import wait_until
from backoffice.running import orphans, ports
from backoffice.running.welcome import ask

pytestmark = pytest.mark.processes
PATIENCE = 180.0  # generous: two cores may be shared with the other half of the tests


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield int(taken.getsockname()[1])


class Running:
    """One data folder and what was started on it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.resolve()
        self.port, self.simulator_port, self.custodian_port = free_port(), free_port(), free_port()
        self.console = data_dir / "console.txt"
        self._started: subprocess.Popen[bytes] | None = None

    def environment(self, **others: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            "DERIV_SIM_PORT": str(self.simulator_port),
            "CUSTODIAN_SIM_PORT": str(self.custodian_port),
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "DERIV_URL": "",
            **others,
        }

    def up(self) -> subprocess.Popen[bytes]:
        """A supervisor with everything ready: the one that runs, or a new one."""
        if self._started is None or self._started.poll() is not None:
            with self.console.open("wb") as console:
                self._started = subprocess.Popen(
                    [sys.executable, "manage.py", "start"],
                    cwd=ROOT,
                    env=self.environment(),
                    stdout=console,
                    stderr=console,
                )
            assert wait_until(lambda: "Nexus Back Office is up" in self.said(), seconds=PATIENCE), self.said()
        return self._started

    def said(self) -> str:
        return self.console.read_text()

    def again(self, **others: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", "start"],
            cwd=ROOT,
            env=self.environment(**others),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def pid_of(self, command: str) -> int | None:
        for pid in orphans.find(self.data_dir):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if command.encode() in line and b"-I" not in line:  # not the launcher it is about to leave
                return pid
        return None

    def end(self) -> None:
        if self._started is not None and self._started.poll() is None:
            self._started.send_signal(signal.SIGTERM)
            self._started.wait(timeout=PATIENCE)
        orphans.end(self.data_dir)
        embedded.stop(self.data_dir)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    found = Running(tmp_path_factory.mktemp("run"))
    yield found
    found.end()


def test_one_run_from_start_to_ctrl_c(running: Running) -> None:
    """One story, since each start costs seconds: every step leaves a running back office to the next."""
    one_command_brings_up_everything_and_says_what_to_open(running)
    a_second_run_says_that_it_runs_already_and_changes_nothing(running)
    a_process_that_dies_is_started_again_and_the_console_says_so(running)
    if sys.platform == "linux":  # elsewhere children do not follow a killed parent; the next start ends them
        kill_9_of_the_supervisor_takes_its_processes_along_and_the_next_run_starts_cleanly(running)
    ctrl_c_stops_everything_and_leaves_nothing_running(running)


def test_a_busy_port_is_one_line_that_names_the_setting_and_starts_nothing(
    running: Running, tmp_path: Path
) -> None:
    with taken_port() as port:
        refused = running.again(DATA_DIR=str(tmp_path), PORT=str(port), DERIV_SIM_PORT=str(free_port()))
    assert refused.returncode == 1
    assert refused.stderr.strip() == (
        f"Port {port} is in use by another program. Set PORT to a free one, for example `PORT={port + 1} make run`."
    )
    assert not embedded.running(tmp_path)


def test_the_simulators_port_is_asked_for_too_but_only_where_the_simulator_runs() -> None:
    with taken_port() as port:
        free = {"port": free_port(), "custodian_sim_port": free_port()}
        with pytest.raises(ports.PortTaken, match="Set DERIV_SIM_PORT to a free one"):
            ports.check(Configuration(**free, deriv_sim_port=port, deriv_url=""))
        ports.check(Configuration(**free, deriv_sim_port=port, deriv_url="wss://venue.example"))


def test_the_custodian_s_port_is_asked_for_too_but_only_where_its_simulator_runs() -> None:
    with taken_port() as port:
        free = {"port": free_port(), "deriv_sim_port": free_port()}
        with pytest.raises(ports.PortTaken, match="Set CUSTODIAN_SIM_PORT to a free one"):
            ports.check(Configuration(**free, custodian_sim_port=port, custodian_url=""))
        ports.check(Configuration(**free, custodian_sim_port=port, custodian_url="https://custodian.example"))


def one_command_brings_up_everything_and_says_what_to_open(running: Running) -> None:
    running.up()
    origin = f"http://127.0.0.1:{running.port}"
    assert ask(f"{origin}/health/ready").status == 200
    assert ask(f"{origin}/admin/login/").status == 200
    page = running.said()
    assert f"http://localhost:{running.port}/admin/" in page
    assert "Ctrl-C stops everything." in page
    assert "Traceback" not in page


def a_second_run_says_that_it_runs_already_and_changes_nothing(running: Running) -> None:
    first = running.up()
    second = running.again()
    assert second.returncode == 1
    assert second.stderr.strip() == (
        f"Already running (pid {first.pid}): open http://localhost:{running.port}/admin/, or stop it with `make stop`."
    )
    assert ask(f"http://127.0.0.1:{running.port}/health/ready").status == 200


def a_process_that_dies_is_started_again_and_the_console_says_so(running: Running) -> None:
    running.up()
    pid = running.pid_of("scheduler")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: "scheduler started again." in running.said(), seconds=PATIENCE)
    assert "scheduler ended (signal SIGKILL)" in running.said()
    assert wait_until(lambda: running.pid_of("scheduler") not in (None, pid), seconds=PATIENCE)


def kill_9_of_the_supervisor_takes_its_processes_along_and_the_next_run_starts_cleanly(
    running: Running,
) -> None:
    running.up().kill()
    assert wait_until(lambda: not orphans.find(running.data_dir), seconds=PATIENCE), left_over(running)
    running.up()
    assert ask(f"http://127.0.0.1:{running.port}/health/ready").status == 200


def left_over(running: Running) -> list[str]:
    """What is still there, and what it does, for the message of a failure."""
    return [
        f"{pid} {name}: {(Path('/proc') / str(pid) / name).read_text()[:600]}".replace("\0", " ")
        for pid in orphans.find(running.data_dir)
        for name in ("cmdline", "wchan", "status")
    ]


def ctrl_c_stops_everything_and_leaves_nothing_running(running: Running) -> None:
    supervisor = running.up()
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(timeout=PATIENCE) == 0
    assert running.said().rstrip().endswith("Everything is stopped.")
    assert "was killed" not in running.said()
    assert orphans.find(running.data_dir) == []
    assert not embedded.running(running.data_dir)
    for port in (running.port, running.simulator_port, running.custodian_port):
        with socket.socket() as trial:
            assert trial.connect_ex(("127.0.0.1", port)) != 0
