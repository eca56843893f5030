"""Which processes make up a running back office. Adding one here is all it takes."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from backoffice.configuration import ROOT, Configuration

# Steps before the processes start, in order, as management commands; demo steps only in demo mode.
PREPARATION: Final = (
    ("migrate", False),
    ("load_roles", False),
    ("sync_schedule", False),
    ("load_demo", True),
)


def _always(config: Configuration) -> bool:
    return True


@dataclass(frozen=True)
class Process:
    """One supervised process: a management command with its arguments.

    On the way down processes stop by `stage`, lowest first, each with `grace_seconds` to finish its work.
    """

    name: str
    command: str
    arguments: Callable[[Configuration], list[str]] = field(default=lambda config: [])
    wanted: Callable[[Configuration], bool] = _always
    stage: int = 1
    grace_seconds: float = 15.0

    def command_line(self, config: Configuration) -> list[str]:
        return [sys.executable, str(ROOT / "manage.py"), self.command, *self.arguments(config)]


def _worker_arguments(config: Configuration) -> list[str]:
    return [
        *("--processes", str(config.worker_processes), "--threads", str(config.worker_threads)),
        *("--worker-shutdown-timeout", "30000", "--skip-logging", "--path", str(ROOT)),
    ]


def _simulator_arguments(config: Configuration) -> list[str]:
    return ["--speed", str(config.deriv_sim_speed), "--seed", str(config.deriv_sim_seed)]


TABLE: Final = (
    Process("web", "web", stage=1),
    Process("scheduler", "scheduler", stage=1),
    Process("workers", "rundramatiq", _worker_arguments, stage=2, grace_seconds=40.0),
    Process("sequencer", "sequencer", stage=3),
    Process("streams", "streams", stage=3),
    # With no address of Deriv's set the venue is our own simulator.
    Process(
        "simulator",
        "deriv_simulator",
        _simulator_arguments,
        wanted=lambda config: config.is_simulated,
        stage=4,
    ),
    Process(
        "custodian",
        "custodian_simulator",
        lambda config: ["--block-seconds", str(config.custodian_sim_block_seconds)],
        wanted=lambda config: config.is_custodian_simulated,
        stage=4,
    ),
)
