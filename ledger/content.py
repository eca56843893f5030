"""Canonical content of a request: what a key stands for, and how amounts and instants are written to the database."""

import hashlib
import json
import re
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Final

from backoffice.errors import InvalidInput
from backoffice.money import InvalidAmount

Subject = tuple[str, uuid.UUID] | None

LIMIT: Final = Decimal(10) ** 20
KEY_LENGTH: Final = 200
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True)
# What nearly every amount looks like; anything else is looked at in full.
_PLAIN: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")


def content_hash(*parts: object) -> str:
    """SHA-256 of the parts as compact JSON; what differs in substance differs here."""
    return hashlib.sha256(_ENCODER.encode(parts).encode()).hexdigest()


def amount_text(amount: Decimal) -> str:
    """An amount in one canonical form: 10, 10.0 and 10.00 are the same text.

    The number of decimals is checked where the currency is known, in the database.

    :raises InvalidAmount: if it is not finite, not above zero or has 20 or more integer digits.
    """
    if not isinstance(amount, Decimal):
        raise TypeError("An amount is a Decimal, never a float, an integer or a string.")
    text = str(amount)
    if not (amount and _PLAIN.fullmatch(text)):
        if not amount.is_finite():
            raise InvalidAmount("An amount must be a finite number.")
        if not 0 < amount < LIMIT:
            raise InvalidAmount("An amount must be above zero and below 10^20.")
        if amount.as_tuple().exponent < -40:  # type: ignore[operator]
            raise InvalidAmount("That amount has too many decimals.")
        text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def checked_key(key: str) -> str:
    """
    :raises InvalidInput: if the key is empty or longer than 200 characters.
    """
    if not key or len(key) > KEY_LENGTH:
        raise InvalidInput("A key has 1 to 200 characters.", field="key")
    return key


def checked_instant(at: datetime) -> str:
    """An instant as text. One without a time zone is a bug of the caller."""
    if at.tzinfo is None:
        raise ValueError("An instant needs a time zone.")
    return at.isoformat()


def subject_parts(subject: Subject) -> tuple[str, str | None]:
    """Type and id of the business object, as they are stored; ("", None) for none."""
    if subject is None:
        return "", None
    return subject[0], str(subject[1])
