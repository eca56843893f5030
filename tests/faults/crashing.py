"""Loaded into a worker after the actors: it ends the process at an exact step of one account's trade, once.

A step is armed by a file `step.account` in the folder that CRASHES names; whoever takes the file away dies. Nothing
of this is in the product: the functions it wraps are the product's own.
"""

import functools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import transaction

from brokerage import trades, venue
from jobs.declare import load_actors

FOLDER = Path(os.environ.get("CRASHES", ""))
STEPS = {
    "buy_before_intent": "a worker killed before the intent to buy is stored",
    "buy_before_question": "a worker killed after the intent is stored, before anything is sent",
    "buy_on_wire": "a worker killed while the purchase is on the wire",
    "buy_answered": "a worker killed with the answer to the purchase in hand",
    "buy_recording": "a worker killed while it records the purchase",
    "buy_recorded": "a worker killed after the purchase is recorded",
    "sell_before_question": "a worker killed before a sale is sent",
    "sell_on_wire": "a worker killed while a sale is on the wire",
    "sell_answered": "a worker killed with the answer to a sale in hand",
    "sell_recording": "a worker killed while it records a sale",
    "sell_recorded": "a worker killed after a sale is recorded",
    "settle_recording": "a worker killed while it records a settlement",
    "settle_recorded": "a worker killed after a settlement is recorded",
}
_asking = threading.local()


def crash(step: str, account_id: object) -> None:
    """End the process at once if this step is armed for this account: no handler, no flush, no good-bye."""
    try:
        (FOLDER / f"{step}.{account_id}").unlink()
    except FileNotFoundError:
        return
    os._exit(137)


def around(module: Any, name: str, wrap: Callable[..., Any]) -> None:
    plain = getattr(module, name)
    setattr(module, name, functools.wraps(plain)(functools.partial(wrap, plain)))


def _begin_submission(plain: Callable[..., Any], trade: Any, **given: Any) -> Any:
    crash("buy_before_intent", trade.account_id)
    return plain(trade, **given)


def _ask(plain: Callable[..., Any], link: str, call: str, arguments: Any, **given: Any) -> Any:
    verb = {"buy": "buy", "buy_with_terms": "buy", "sell": "sell"}.get(call)
    if verb is None:
        return plain(link, call, arguments, **given)
    crash(f"{verb}_before_question", link)
    _asking.now = (f"{verb}_on_wire", link)
    try:
        answer = plain(link, call, arguments, **given)
    finally:
        _asking.now = None
    crash(f"{verb}_answered", link)
    return answer


def _listen(plain: Callable[..., Any], *given: Any) -> Any:
    if (now := getattr(_asking, "now", None)) is not None:
        crash(*now)
    return plain(*given)


def _record(step: str, plain: Callable[..., Any], trade: Any, *given: Any, **more: Any) -> Any:
    with transaction.atomic():
        done = plain(trade, *given, **more)
        crash(f"{step}_recording", trade.account_id)
    crash(f"{step}_recorded", trade.account_id)
    return done


def _settle(plain: Callable[..., Any], trade: Any, outcome: Any, **given: Any) -> Any:
    step = "sell" if outcome.state == trades.Trade.State.SOLD else "settle"
    return _record(step, plain, trade, outcome, **given)


if "CRASHES" in os.environ:
    load_actors()
    around(trades, "begin_submission", _begin_submission)
    around(venue, "ask", _ask)
    around(venue, "_listen", _listen)
    around(trades, "record_bought", functools.partial(_record, "buy"))
    around(trades, "settle", _settle)
