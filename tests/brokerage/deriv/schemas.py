"""Deriv's published message schemas, which lie beside the repository and are not part of it.

Where they are absent the tests of the protocol still run, without this check; ``test_schemas`` is skipped and says so.
"""

import functools
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

ROOT = Path(__file__).resolve().parents[3]
FOLDER = Path(os.environ.get("DERIV_SCHEMAS", ROOT.parent / "shared" / "deriv"))
"""It holds a folder for each generation: ``v3/<call>/send.json``, ``v4/<call>_request.schema.json``."""

needs_schemas = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the published schemas are not beside the repository; set DERIV_SCHEMAS"
)
_CALL_OF = {
    "tick": "ticks",
    "history": "ticks_history",
    "candles": "ticks_history",
    "ohlc": "ticks_history",
}
_V4_NAMES = {"send": "request", "receive": "response"}
# Requests over HTTP, and the schemas' names for them.
_REST = {
    r"GET /trading/v1/options/accounts": "get_accounts",
    r"POST /trading/v1/options/accounts": "create_account",
    r"POST /trading/v1/options/accounts/[A-Z0-9]+/otp": "websocket",
    r"POST /trading/v1/options/accounts/[A-Z0-9]+/reset-demo-balance": "reset_demo_balance",
    r"GET /trading/v1/options/legacy/migration-status": "legacy_migration_status",
    r"GET /trading/v1/options/legacy/accounts": "legacy_accounts",
    r"GET /trading/v1/options/legacy/statement": "legacy_statement",
    r"POST /trading/v1/options/contracts/bulk-purchase/(real|demo)": "bulk_purchase",
    r"GET /applications/v1/markup-statistics": "markup_statistics",
    r"GET /payment-agents/v1/agents": "payment_agent_list",
    r"GET /payment-agents/v1/agents/[0-9a-z]+": "payment_agent_get",
    r"GET /payment-agents/v1/agent-statistics": "payment_agent_statistics",
    r"POST /payment-agents/v1/transfer": "payment_agent_transfer",
    r"POST /payment-agents/v1/withdraw/verification_code": "payment_agent_withdraw_verification",
    r"POST /payment-agents/v1/withdraw": "payment_agent_withdraw",
    r"GET /payment-agents/v1/withdraw/[-\w]+": "payment_agent_withdraw_status",
    r"GET /account/v1/nickname": "nickname",
}


def schema_of(generation: str, call: str, direction: str) -> dict[str, Any]:
    """The published schema of a call (``send`` or ``receive``)."""
    if call == "nickname":
        return {"properties": {}} if direction == "send" else _of_api("/account/v1/nickname", "get", "200")
    named = f"{call}/{direction}.json" if generation == "v3" else f"{call}_{_V4_NAMES[direction]}.schema.json"
    schema: dict[str, Any] = json.loads((FOLDER / generation / named).read_text())
    if (generation, call, direction) == ("v3", "account_list", "receive"):
        # It requires a field that it forbids: broker_code, which it describes, as authorize does, as broker.
        required = schema["properties"]["account_list"]["items"]["required"]
        required[required.index("broker_code")] = "broker"
    return schema


def _of_api(path: str, method: str, status: str) -> dict[str, Any]:
    """The form of an answer that is published only in the description of the whole interface."""
    api = json.loads((FOLDER / "v4" / "rest-api-openapi.json").read_text())
    content = api["paths"][path][method]["responses"][status]["content"]
    return {**content["application/json"]["schema"], "components": api["components"]}


@functools.cache
def _validator_of_refusals() -> Validator:
    schema = _of_api("/payment-agents/v1/agents", "get", "400")
    return validator_for(schema, Draft202012Validator)(schema)


@functools.cache
def _validator(generation: str, call: str, direction: str) -> Validator:
    schema = schema_of(generation, call, direction)
    return validator_for(schema)(schema)


def rest_call(what: str) -> str:
    """The schemas' name for a request such as ``GET /path``."""
    return next(name for pattern, name in _REST.items() if re.fullmatch(pattern, what))


def _unhidden(body: Any) -> Any:
    """A request as it went out, as far as its form goes: the hook sees no secrets."""
    if isinstance(body, dict):
        hidden = {"verification_code": "000000"}
        return {name: hidden.get(name, _unhidden(value)) for name, value in body.items()}
    return [_unhidden(one) for one in body] if isinstance(body, list) else body


class Recorder:
    """Checks each message against its schema as it passes. ``counts`` says how many of which kind."""

    def __init__(self, generation: str = "v3") -> None:
        self.generation = generation
        self.counts: dict[tuple[str, str], int] = {}

    def sent(self, frame: dict[str, Any]) -> None:
        self._check(next(iter(frame)), "send", frame)

    def received(self, frame: dict[str, Any]) -> None:
        assert isinstance(frame["echo_req"], dict)
        if frame["msg_type"] != "error":
            assert not ("error" in frame and frame["msg_type"] in frame), "an error comes without a payload"
        if frame["msg_type"] != "error":
            self._check(_CALL_OF.get(frame["msg_type"], frame["msg_type"]), "receive", frame)

    def asked(self, what: str, body: dict[str, Any], query: dict[str, str]) -> None:
        """A request over HTTP, as a schema sees it: headers, path, query and body in one object."""
        call = rest_call(what)
        if not FOLDER.is_dir():
            return
        parts = schema_of("v4", call, "send")["properties"]
        told: dict[str, Any] = {"Deriv-App-ID": "1", "body": _unhidden(body)}
        told["headers"] = {
            "Deriv-App-ID": "1",
            "Authorization": "Bearer t",
            "Content-Type": "application/json",
        }
        path = what.partition(" ")[2].split("/")
        told["path"] = {"id": path[-1], "request_id": path[-1], "accountId": path[-2], "account_id": path[-2]}
        typed = parts.get("query", {}).get("properties", parts)
        told["query"] = {
            name: int(text) if typed[name]["type"] == "integer" else text for name, text in query.items()
        }
        self._check(
            call,
            "send",
            {
                name: told[name] if name in told else told["query"][name]
                for name in parts
                if name in told or name in told["query"]
            },
        )

    def answered(self, what: str, body: dict[str, Any], status: int = 200) -> None:
        """An answer over HTTP; an error is checked where payment agents refuse by their own rules."""
        if status < 400:
            self._check(rest_call(what), "receive", body)
        elif status in (400, 404) and "/payment-agents/" in what and FOLDER.is_dir():
            problems = [error.message for error in _validator_of_refusals().iter_errors(body)]
            assert not problems, f"{what}: {problems} in {body}"

    def hook(self, direction: str, frame: dict[str, Any]) -> None:
        """For the typed client's ``on_message``."""
        first = next(iter(frame))
        if " " in first and direction == "in":
            self.answered(first, frame[first], frame["status"])
        elif " " in first:
            self.asked(first, frame[first], frame.get("query", {}))
        elif direction == "in":
            self.received(frame)
        else:
            self.sent({**frame, "authorize": "hidden"} if "authorize" in frame else frame)

    def _check(self, call: str, direction: str, message: dict[str, Any]) -> None:
        self.counts[call, direction] = self.counts.get((call, direction), 0) + 1
        if FOLDER.is_dir():
            validator = _validator(self.generation, call, direction)
            problems = [error.message for error in validator.iter_errors(message)]
            assert not problems, f"{call} {direction}: {problems} in {message}"
