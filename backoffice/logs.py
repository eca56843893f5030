"""Structured logging, one line per fact, with one correlation id from the request to the venue call.

The id arrives with a request (or is made there), stands in a context variable, travels in the options of every
queued message and is set again in the worker; whoever logs in between logs it without knowing.
"""

import contextlib
import logging
import os
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from pythonjsonlogger.json import JsonFormatter

from backoffice.masking import mask, mask_text
from backoffice.metrics import REQUESTS

correlation: ContextVar[str] = ContextVar("correlation", default="")
HEADER: Final = "X-Request-ID"
_SANE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_UNWANTED: Final = {"color_message", "request"}  # uvicorn's and Django's extras that repeat the message
_log = logging.getLogger("backoffice.request")


def new_correlation() -> str:
    """A fresh correlation id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def sane(value: str) -> str:
    """The id a caller sent if it is a plain token of 8 to 64 characters, else an empty text."""
    return value if _SANE.fullmatch(value) else ""


@contextlib.contextmanager
def bind(correlation_id: str = "") -> Iterator[str]:
    """Everything logged, recorded or queued inside carries this correlation id (a new one if empty)."""
    given = correlation_id or new_correlation()
    token = correlation.set(given)
    try:
        yield given
    finally:
        correlation.reset(token)


class CorrelationMiddleware:
    """Gives each request its correlation id, answers it in `X-Request-ID` and logs one line about the request.

    The query string is not logged: it can carry what its sender did not mean to publish.
    """

    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        with bind(sane(request.headers.get(HEADER, ""))) as given:
            response = self.get_response(request)
            response[HEADER] = given
            seconds = time.perf_counter() - started
            quiet = (
                request.path.startswith(("/health/", "/metrics", "/static/")) and response.status_code < 500
            )
            _log.log(
                logging.DEBUG if quiet else logging.INFO,
                "%s %s %s",
                request.method,
                request.path,
                response.status_code,
                extra={"status": response.status_code, "ms": round(seconds * 1000, 1)},
            )
            if not quiet:
                REQUESTS.observe(seconds, method=str(request.method), status=str(response.status_code))
        return response


class ContextFilter(logging.Filter):
    """Adds what every line needs, the correlation id and the process; takes the arguments out of queued messages."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.correlation_id = getattr(record, "correlation_id", "") or correlation.get()
        record.process_name = process_name()
        if isinstance(record.args, tuple):
            record.args = tuple(_without_arguments(value) for value in record.args)
        return True


def _without_arguments(value: object) -> object:
    """A queued message prints with its positional arguments, which no name marks as secret: only its name is logged."""
    actor, message_id = getattr(value, "actor_name", None), getattr(value, "message_id", None)
    return f"{actor} [{message_id}]" if actor and message_id else value


class BugFilter(logging.Filter):
    """Lets through what was raised; a 503 that a health check answers on purpose is no error of ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)


def process_name() -> str:
    """What the supervisor calls this process, else the management command or the program it runs."""
    named = os.environ.get("NEXUS_PROCESS")
    if named:
        return named
    program = os.path.basename(sys.argv[0]) if sys.argv else "python"
    return sys.argv[1] if program == "manage.py" and len(sys.argv) > 1 else program


class MaskedJson(JsonFormatter):
    """One JSON object per line, without secrets."""

    def __init__(self) -> None:
        super().__init__(
            ["asctime", "levelname", "process_name", "name", "message", "correlation_id"],
            rename_fields={
                "asctime": "at",
                "levelname": "level",
                "name": "logger",
                "process_name": "process",
            },
            json_ensure_ascii=False,
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return _utc(record)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value for name, value in mask(log_data).items() if value != "" and name not in _UNWANTED
        }


class MaskedText(logging.Formatter):
    """A line for a person, without secrets."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s %(levelname)-7s %(process_name)s %(name)s: %(message)s [%(correlation_id)s]"
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return _utc(record)

    def format(self, record: logging.LogRecord) -> str:
        return mask_text(super().format(record)).removesuffix(" []")


def _utc(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


def logging_settings(log_format: str, level: str) -> dict[str, Any]:
    """Django's LOGGING: everything, the server's and the workers' own lines included, to stderr in one form."""
    form = "backoffice.logs.MaskedJson" if log_format == "json" else "backoffice.logs.MaskedText"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "context": {"()": "backoffice.logs.ContextFilter"},
            "bugs": {"()": "backoffice.logs.BugFilter"},
        },
        "formatters": {"line": {"()": form}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["context"]},
        },
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            "django.request": {
                "level": "ERROR",
                "filters": ["bugs"],
            },  # refused requests are in the request line
            "uvicorn": {"handlers": [], "propagate": True, "level": "INFO"},
            "uvicorn.access": {
                "handlers": [],
                "propagate": False,
                "level": "CRITICAL",
            },  # ours says it, masked
            "asyncio": {"level": "WARNING"},
            "websockets": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},  # a line for each request says nothing that is not said elsewhere
        },
    }
