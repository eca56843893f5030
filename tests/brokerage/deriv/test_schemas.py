"""The check that all tests of the protocol rely on does check."""

import re

import pytest

from brokerage.deriv.simulator.v3.generation import V3
from brokerage.deriv.simulator.v4.calls import NOT_SERVED
from brokerage.deriv.simulator.v4.generation import V4
from tests.brokerage.deriv.schemas import _REST, FOLDER, ROOT, Recorder, needs_schemas


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


def test_the_page_on_deriv_lists_the_calls_that_are_served() -> None:
    page = (ROOT / "docs" / "deriv.md").read_text()
    section = page.partition("### Calls of generation v3")[2].partition("\n### ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(V3.calls)
