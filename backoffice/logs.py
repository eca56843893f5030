"""Correlation (the run-time branch brings the whole of logging)."""

from contextvars import ContextVar

correlation: ContextVar[str] = ContextVar("correlation", default="")
