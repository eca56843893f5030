"""JSON with exact numbers, and the venue's values as JSON between our processes."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokerage.deriv import types
from brokerage.deriv.errors import MalformedAnswer, OutcomeUnknown, Refused, error_class, from_answer
from brokerage.deriv.serial import from_json, to_json
from brokerage.deriv.wire import NotJson, decode, encode, redact

DECIMALS = st.decimals("-1e12", "1e12", places=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | DECIMALS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read_back_exactly(value: object) -> None:
    assert decode(encode(value)) == value
    json.loads(encode(value))


def test_numbers_keep_their_digits() -> None:
    assert encode({"price": Decimal("10.10"), "big": Decimal("1E+3")}) == '{"price":10.10,"big":1000}'
    assert str(decode("0.10")) == "0.10" and decode("7") == 7 and type(decode("7")) is int


@pytest.mark.parametrize("value", [1.5, Decimal("NaN"), {1: 2}, object(), b"x"])
def test_what_has_no_exact_form_is_not_written(value: object) -> None:
    with pytest.raises(TypeError):
        encode([value])


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "-Infinity", "1e50", "1e-50", "9" * 41, "[" * 100_000, b"\xff"]
)
def test_what_is_not_json_is_not_read(text: str | bytes) -> None:
    with pytest.raises(NotJson):
        decode(text)


def test_secrets_are_hidden_at_any_depth() -> None:
    frame = {
        "echo_req": {"authorize": "t0ken", "tokens": ["a", "b"]},
        "authorize": {"loginid": "CR1", "token": "x"},
    }
    assert redact(frame) == {
        "echo_req": {"authorize": "<not shown>", "tokens": ["<not shown>", "<not shown>"]},
        "authorize": {"loginid": "CR1", "token": "<not shown>"},
    }


PROPOSAL = types.Proposal("id", Decimal("10.00"), Decimal("19.53"), Decimal("1574.2600"), 5, 6, "words")
STATUS = types.SiteStatus("up", types.CallLimits(1, 2, 3, 4), None)
AUTHORIZATION = types.Authorization("CR1", None, "USD", Decimal("0.00"), False, ("read", "trade"))


@pytest.mark.parametrize("value", [PROPOSAL, STATUS, AUTHORIZATION])
def test_values_travel_as_json(value: object) -> None:
    data = json.loads(json.dumps(to_json(value)))
    again = from_json(type(value), data)
    assert again == value and repr(again) == repr(value)


def test_amounts_travel_as_text() -> None:
    assert to_json(PROPOSAL)["spot"] == "1574.2600"


@pytest.mark.parametrize(
    "change",
    [
        {"payout": 19.53},
        {"payout": "a lot"},
        {"payout": "NaN"},
        {"payout": None},
        {"spot_at": "5"},
        {"spot_at": True},
        {"id": None},
        {"extra": 1},
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        from_json(types.Proposal, {**to_json(PROPOSAL), **change})
    with pytest.raises(ValueError, match="missing field longcode"):
        from_json(
            types.Proposal, {key: value for key, value in to_json(PROPOSAL).items() if key != "longcode"}
        )
    with pytest.raises(ValueError, match="status"):
        from_json(types.SiteStatus, {**to_json(STATUS), "status": "asleep"})
    assert replace(PROPOSAL) == PROPOSAL


def test_a_refusal_names_the_field() -> None:
    error = {"code": "InputValidationFailed", "message": "no", "details": {"amount": "is missing"}}
    refusal = from_answer(error, "proposal")
    assert (type(refusal), refusal.field, refusal.details) == (Refused, "amount", {"amount": "is missing"})
    assert isinstance(from_answer({}, "buy"), MalformedAnswer)


@given(st.text(min_size=1))
def test_an_unknown_code_never_makes_a_purchase_look_refused(code: str) -> None:
    known = error_class(code, "balance") is not Refused
    assert known or error_class(code, "buy") in (OutcomeUnknown, Refused)
    assert error_class(f"Unknown{code}!", "sell") is OutcomeUnknown
