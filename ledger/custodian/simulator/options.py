"""The simulator's command line, the same under Django and without it."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ledger.custodian.simulator.server import CannotStart, Options, run


def add_arguments(parser: argparse.ArgumentParser, defaults: Mapping[str, Any]) -> None:
    """``defaults`` may name port, data, token."""
    parser.add_argument("--port", type=int, default=defaults.get("port", 8766))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--data",
        type=Path,
        default=defaults.get("data", Path(".data/custodian-simulator.sqlite3")),
        help="the books",
    )
    parser.add_argument("--token", default=defaults.get("token", ""), help="asked for on every call")
    parser.add_argument(
        "--block-seconds", type=float, default=3.0, help="between two blocks; 0: only when the desk says so"
    )
    parser.add_argument(
        "--forgets",
        action="store_true",
        help="pay an id again when it is sent again, as when its memory ran out",
    )


def start(arguments: Mapping[str, Any]) -> str | None:
    """Run until stopped. Returns the sentence that says why it could not start, if it could not."""
    options = Options(
        host=arguments["host"],
        port=arguments["port"],
        data=arguments["data"],
        block_seconds=arguments["block_seconds"],
        remembers=not arguments["forgets"],
        token=arguments["token"],
    )
    try:
        run(options)
    except CannotStart as reason:
        return str(reason)
    return None
