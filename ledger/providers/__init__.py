"""Providers pay money out: each says how it is handed a payment, and how it is asked what became of one.

A provider is registered under its name from `AppConfig.ready`; a withdrawal route names the one that pays.
"""

from ledger.providers.port import (
    Answer,
    AnswerLost,
    CalledProvider,
    NotSent,
    Outcome,
    Provider,
    Refused,
    providers,
)

__all__ = ["Answer", "AnswerLost", "CalledProvider", "NotSent", "Outcome", "Provider", "Refused", "providers"]
