"""The check that all tests of the protocol rely on does check."""

import re

import pytest

from brokerage.deriv import calls_document
from brokerage.deriv.simulator.v3.generation import V3
from brokerage.deriv.simulator.v4.calls import NOT_SERVED
from brokerage.deriv.simulator.v4.generation import V4
from tests.brokerage.deriv.schemas import _REST, FOLDER, Recorder, needs_schemas


@needs_schemas
@pytest.mark.parametrize(
    "frame",
    [
        {"echo_req": {}, "msg_type": "ping", "ping": "pang"},
        {"echo_req": {}, "msg_type": "tick", "tick": {"pip_size": 2, "quote": "1.5"}},
        {"echo_req": {}, "msg_type": "tick", "tick": {"pip_size": 2, "surprise": 1}},
        {"echo_req": {}, "msg_type": "buy", "buy": {}},
    ],
)
def test_a_frame_that_breaks_its_schema_is_found(frame: dict[str, object]) -> None:
    with pytest.raises(AssertionError, match="receive"):
        Recorder().received(frame)
    with pytest.raises(AssertionError, match="send"):
        Recorder().sent({"buy": "1"})


@needs_schemas
def test_every_call_with_a_published_form_is_served_or_named_as_not_served() -> None:
    assert {folder.name for folder in (FOLDER / "v3").iterdir() if folder.is_dir()} <= set(V3.calls)
    published = {
        path.name.removesuffix("_request.schema.json") for path in (FOLDER / "v4").glob("*_request*")
    }
    over_http = {*_REST.values(), "health"}
    assert set(V4.calls) == published - over_http - set(NOT_SERVED)
    assert set(NOT_SERVED) <= published


def test_the_page_of_calls_tells_who_serves_and_who_uses_each() -> None:
    page = calls_document.render()
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", page, re.MULTILINE))
    assert set(V3.calls) | set(V4.calls) | set(NOT_SERVED) == {name for name in rows if " " not in name}
    assert rows["balance"].endswith("| yes | yes | `balance`, `follow_balance`")
    assert rows["authorize"].endswith("| yes |  | `authorize`")
    assert rows["contracts_list"] == "Every category of contract, with its types |  | yes | "
    assert rows["auto_stop"] == "a bot that runs at the venue itself"
    otp = rows["POST /trading/v1/options/accounts/{account_id}/otp"]
    assert otp.startswith("`otp` | ") and otp.endswith("| `socket_address`")
    requests = [name.replace("{account_id}", "CR1") for name in rows if " " in name]
    requests = [re.sub(r"\{\w+\}", "x1", name) for name in requests]
    for pattern in _REST:
        assert any(re.fullmatch(pattern, name) for name in requests), pattern


def test_everything_the_client_asks_over_http_is_served() -> None:
    served = list(calls_document.requests_served())
    for method, path, name in calls_document.requests_used():
        assert any(name in calls_document._using([(method, path, name)], *one[:2]) for one in served), path
