"""Deriv's published message schemas, which lie beside the repository and are not part of it.

Where they are absent the tests of the protocol still run, without this check; ``test_schemas`` is skipped and says so.
"""

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

ROOT = Path(__file__).resolve().parents[3]
FOLDER = Path(os.environ.get("DERIV_SCHEMAS", ROOT.parent / "shared" / "deriv" / "v3"))

needs_schemas = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the published schemas are not beside the repository; set DERIV_SCHEMAS"
)
_FOLDER_OF = {
    "tick": "ticks",
    "history": "ticks_history",
    "candles": "ticks_history",
    "ohlc": "ticks_history",
}


@functools.cache
def _validator(call: str, direction: str) -> Draft4Validator:
    schema = json.loads((FOLDER / call / f"{direction}.json").read_text())
    if (call, direction) == ("account_list", "receive"):
        # It requires a field that it forbids: broker_code, which it describes, as authorize does, as broker.
        required = schema["properties"]["account_list"]["items"]["required"]
        required[required.index("broker_code")] = "broker"
    return Draft4Validator(schema)


class Recorder:
    """Checks each frame against its schema as it passes. ``counts`` says how many of which kind."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}

    def sent(self, frame: dict[str, Any]) -> None:
        self._check(next(iter(frame)), "send", frame)

    def received(self, frame: dict[str, Any]) -> None:
        assert isinstance(frame["echo_req"], dict)
        if frame["msg_type"] != "error":
            assert not ("error" in frame and frame["msg_type"] in frame), "an error comes without a payload"
        if frame["msg_type"] != "error":
            self._check(_FOLDER_OF.get(frame["msg_type"], frame["msg_type"]), "receive", frame)

    def hook(self, direction: str, frame: dict[str, Any]) -> None:
        """For the typed client's ``on_message``."""
        if direction == "in":
            self.received(frame)
        else:
            self.sent(_with_token(frame) if "authorize" in frame else frame)

    def _check(self, call: str, direction: str, frame: dict[str, Any]) -> None:
        self.counts[call, direction] = self.counts.get((call, direction), 0) + 1
        if FOLDER.is_dir():
            problems = [error.message for error in _validator(call, direction).iter_errors(frame)]
            assert not problems, f"{call} {direction}: {problems} in {frame}"


def _with_token(frame: dict[str, Any]) -> dict[str, Any]:
    return {**frame, "authorize": "hidden"}
