"""No secret reaches a log, whichever way it is logged."""

import io
import json
import logging
from typing import Any

import pytest

from backoffice.logs import ContextFilter, MaskedJson, MaskedText, bind, sane
from backoffice.masking import hide, mask, mask_text

SECRET = "s3cr3t-v4lue-0123456789"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLWl0"

TEXTS = [
    f"password={SECRET}",
    f"Password: {SECRET}",
    f'{{"password": "{SECRET}"}}',
    f"{{'refresh_token': '{SECRET}', 'a': 1}}",
    f'{{"authorize": "{SECRET}", "req_id": 1}}',
    f'{{\\"token\\": \\"{SECRET}\\"}}',
    f"Authorization: Bearer {SECRET}",
    f"sent header Bearer {SECRET} to the venue",
    f"authorization=Basic {SECRET}",
    f"logIn(email: $e, password: '{SECRET}')",
    f"GET /?access_token={SECRET}&x=1",
    f"apiKey={SECRET}",
    f"api_key: {SECRET}",
    f"X-CSRFToken: {SECRET}",
    f"Cookie: {SECRET}",
    f"sessionid={SECRET}",
    f"postgres://nexus:{SECRET}@db:5432/nexus",
    f"redis://:{SECRET}@cache:6379/0",
    f"FIELD_KEYS={SECRET}",
    f"METRICS_TOKEN={SECRET}",
    f"new_password='{SECRET}'",
    f'client_secret = "{SECRET} with words"',
]


def logged(form: logging.Formatter, message: str, *args: Any, **extra: Any) -> str:
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(form)
    handler.addFilter(ContextFilter())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.error(message, *args, **extra)
    return output.getvalue()


@pytest.mark.parametrize("form", [MaskedJson(), MaskedText()], ids=["json", "text"])
@pytest.mark.parametrize("text", TEXTS)
def test_no_secret_passes_in_a_message_an_argument_or_a_traceback(form: logging.Formatter, text: str) -> None:
    assert SECRET not in logged(form, text.replace("%", "%%"))
    assert SECRET not in logged(form, "said %s", text)
    try:
        raise ValueError(text)
    except ValueError:
        assert SECRET not in logged(form, "failed", exc_info=True)


@pytest.mark.parametrize("form", [MaskedJson(), MaskedText()], ids=["json", "text"])
def test_a_json_web_token_never_passes_even_without_a_name(form: logging.Formatter) -> None:
    assert TOKEN not in logged(form, "got %s", TOKEN)


def test_no_secret_passes_in_structured_extras() -> None:
    nested = {
        "headers": {"Authorization": f"Bearer {SECRET}", "Accept": "text/html"},
        "variables": {"input": {"password": SECRET, "email": "a@b.example"}},
        "tokens": [SECRET, SECRET],
        "api_token": SECRET,
        "frames": [f'{{"authorize": "{SECRET}"}}'],
    }
    line = logged(MaskedJson(), "request", extra={"context": nested})
    assert SECRET not in line
    assert "text/html" in line


def test_the_deployments_own_keys_are_masked_by_their_value() -> None:
    hide("plain-looking-key-9f8e7d")
    assert mask_text("it was plain-looking-key-9f8e7d all along") == "it was *** all along"


def test_masking_leaves_what_is_not_secret_as_it_is() -> None:
    plain = {"trade": "018f-77", "stake": "10.00", "count": 3, "open": True, "at": None, "rows": ["a", "b"]}
    assert mask(plain) == plain
    assert mask_text("GET /admin/ 200") == "GET /admin/ 200"
    assert mask_text("the token has expired") == "the token has expired"


def test_every_json_line_carries_correlation_process_level_and_time() -> None:
    with bind("corr-12345678"):
        line = json.loads(logged(MaskedJson(), "hello %s", "there"))
    assert line["message"] == "hello there"
    assert line["correlation_id"] == "corr-12345678"
    assert line["level"] == "ERROR"
    assert line["process"] and line["at"].endswith("Z")


@pytest.mark.parametrize("wild", ["", "short", "a" * 65, "line\nbreak-12", "semi;colon-12", "<script>-1234"])
def test_a_correlation_id_that_is_no_plain_token_is_not_taken_over(wild: str) -> None:
    assert sane(wild) == ""


def test_a_plain_correlation_id_is_taken_over() -> None:
    assert sane("018f6f0a-7c1e-7000-8000-000000000001") == "018f6f0a-7c1e-7000-8000-000000000001"
