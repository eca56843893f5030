"""The simulator's command line, the same under Django and without it."""

import argparse
import logging
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from brokerage.deriv.simulator.rules import MAX_MARKUP_PERCENT, Rules
from brokerage.deriv.simulator.server import CannotStart, Options, run

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser, defaults: Mapping[str, Any]) -> None:
    """``defaults`` may name port, host, data, control_secret."""
    parser.add_argument("--port", type=int, default=defaults.get("port", 8765))
    parser.add_argument("--host", default=defaults.get("host", "127.0.0.1"))
    parser.add_argument(
        "--data",
        type=Path,
        default=defaults.get("data", Path(".data/deriv-simulator.sqlite3")),
        help="the books",
    )
    parser.add_argument("--seed", type=int, help="of the ticks; a data file keeps its own")
    parser.add_argument("--speed", type=_speed, default=1.0, help="ticks come so many times as fast")
    parser.add_argument(
        "--app-markup",
        action="append",
        default=[],
        type=_markup,
        metavar="PERCENT | APP_ID=PERCENT",
        help="markup an application has registered; without an id: of every application",
    )
    parser.add_argument("--commission", type=_rate, default=Rules().commission, help="fraction of the payout")
    parser.add_argument(
        "--settle-delay", type=float, default=Rules().settle_delay, help="seconds after expiry"
    )
    parser.add_argument(
        "--withdrawal-delay",
        type=float,
        default=Rules().withdrawal_delay,
        help="seconds a withdrawal through a payment agent is pending",
    )
    parser.add_argument(
        "--idle-seconds", type=float, default=120.0, help="after which a silent socket is closed"
    )
    parser.add_argument(
        "--open-positions", type=int, default=Rules().open_positions, help="limit per account"
    )
    parser.add_argument("--no-limits", action="store_true", help="do not enforce request limits")
    parser.add_argument("--control-secret", default=defaults.get("control_secret"), help="for /simulator/")


def start(arguments: Mapping[str, Any]) -> str | None:
    """Run until stopped. Returns the sentence that says why it could not start, if it could not."""
    markups: dict[int | None, Decimal] = dict(arguments["app_markup"])
    rules = Rules(
        commission=arguments["commission"],
        default_markup=markups.pop(None, Decimal(0)),
        markups={app_id: percent for app_id, percent in markups.items() if app_id is not None},
        settle_delay=arguments["settle_delay"],
        withdrawal_delay=arguments["withdrawal_delay"],
        open_positions=arguments["open_positions"],
    )
    options = Options(
        host=arguments["host"],
        port=arguments["port"],
        data=arguments["data"],
        seed=arguments["seed"],
        speed=arguments["speed"],
        limits=not arguments["no_limits"],
        control_secret=arguments["control_secret"] or None,
        idle_seconds=arguments["idle_seconds"],
        rules=rules,
    )
    try:
        run(options)
    except CannotStart as reason:
        return str(reason)
    return None


def _speed(text: str) -> float:
    speed = float(text)
    if not 0.01 <= speed <= 1000:
        raise argparse.ArgumentTypeError("speed is between 0.01 and 1000")
    return speed


def _rate(text: str) -> Decimal:
    try:
        rate = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text} is not a number") from None
    if not 0 <= rate < Decimal("0.5"):
        raise argparse.ArgumentTypeError("the commission is at least 0 and below 0.5")
    return rate


def _markup(text: str) -> tuple[int | None, Decimal]:
    app_id, given, percent = text.rpartition("=")
    try:
        markup = (int(app_id) if given else None), Decimal(percent)
    except (ValueError, InvalidOperation):
        raise argparse.ArgumentTypeError("give PERCENT or APP_ID=PERCENT") from None
    if not 0 <= markup[1] <= MAX_MARKUP_PERCENT:
        raise argparse.ArgumentTypeError(f"a markup is between 0 and {MAX_MARKUP_PERCENT} percent")
    return markup
