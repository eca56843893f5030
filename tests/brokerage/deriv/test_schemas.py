"""The check that all tests of the protocol rely on does check."""

import pytest

from tests.brokerage.deriv.schemas import Recorder, needs_schemas


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
