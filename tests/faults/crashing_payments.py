"""Loaded into a worker like `crashing`: it ends, or stands still, at an exact step of one payment, once."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import transaction

from ledger import payments
from ledger.custodian import client
from tests.faults.crashing import FOLDER, around, crash

STEPS = {
    "pay_before_intent": "a worker killed before the money leaves the wallet",
    "pay_before_wire": "a worker killed after the intent is stored, before anything is sent",
    "pay_on_wire": "a worker killed while the payout is on the wire",
    "pay_answered": "a worker killed with the answer in hand",
    "pay_recording": "a worker killed while it records the answer",
    "pay_recorded": "a worker killed after the answer is recorded",
}
PAUSE, PAUSED = "pay_pause", "pay_paused"


def _begin(plain: Callable[..., Any], payment: Any, **given: Any) -> Any:
    crash("pay_before_intent", payment.end_to_end_id)
    _pause(payment.end_to_end_id)
    done = plain(payment, **given)
    crash("pay_before_wire", payment.end_to_end_id)
    return done


def _pause(name: str) -> None:
    """Stand still for as long as whoever asked for it wants."""
    asked = FOLDER / f"{PAUSE}.{name}"
    if asked.exists():
        (FOLDER / f"{PAUSED}.{name}").touch()
        while asked.exists():
            time.sleep(0.05)


def _pay(plain: Callable[..., Any], public_id: str, **given: Any) -> Any:
    if (FOLDER / f"pay_on_wire.{public_id}").exists():
        threading.Thread(target=plain, args=(public_id,), kwargs=given, daemon=True).start()
        time.sleep(0.05)  # it may have arrived by then, or not: nobody knows, which is the point
        crash("pay_on_wire", public_id)
    answer = plain(public_id, **given)
    crash("pay_answered", public_id)
    return answer


def _take(plain: Callable[..., Any], payment: Any, *given: Any, **more: Any) -> Any:
    with transaction.atomic():
        done = plain(payment, *given, **more)
        crash("pay_recording", payment.end_to_end_id)
    crash("pay_recorded", payment.end_to_end_id)
    return done


def install() -> None:
    """Wrap the product's own functions, once a process."""
    around(payments, "begin", _begin)
    around(client, "pay", _pay)
    around(payments, "take", _take)


def arm(folder: Path, step: str, name: str) -> None:
    """Have the worker that comes to this step of this payment die there."""
    (folder / f"{step}.{name}").touch()


if "CRASHES" in os.environ:
    install()
