"""JSON text with exact numbers: a decimal on the wire is the decimal in the program, never a float.

Both ends use it, client and simulator. Texts come from strangers, so reading refuses what would be
costly or meaningless: NaN and infinities, absurd exponents, nesting without end.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from typing import Any, NoReturn

MAX_EXPONENT = 40
"""The largest power of ten, up or down, that a number may have: beyond it, no price or amount exists."""

# The address of a v4 socket carries its password; copy_start and copy_stop carry the trader's token.
SECRET_FIELDS = frozenset(
    {
        "authorize",
        "copy_start",
        "copy_stop",
        "token",
        "tokens",
        "oauth_token",
        "otp",
        "password",
        "url",
        "verification_code",
    }
)
NOT_SHOWN = "<not shown>"


class NotJson(ValueError):
    """The text is not JSON as this module reads it."""


def exact_number(text: str) -> Decimal:
    """A decimal as it is written. :raises NotJson: beyond what any price or amount can be."""
    number = Decimal(text)
    if abs(number.adjusted()) > MAX_EXPONENT or len(text) > 3 * MAX_EXPONENT:
        raise NotJson("a number is out of range")
    return number


def _whole(text: str) -> int:
    if len(text) > MAX_EXPONENT:
        raise NotJson("a number is out of range")
    return int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not JSON")


def decode(text: str | bytes) -> Any:
    """Read JSON; numbers with a point or exponent become ``Decimal``, the others ``int``.

    Raises ``NotJson`` for anything else, invalid UTF-8 and bottomless nesting included.
    """
    try:
        return json.loads(text, parse_float=exact_number, parse_int=_whole, parse_constant=_refuse_constant)
    except NotJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson("the text is not JSON") from error


def encode(value: Any) -> str:
    """Write JSON; a ``Decimal`` is written digit for digit, trailing zeros included.

    Raises ``TypeError`` for a float: whoever has one has lost the exact value already.
    """
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts)


def _write(value: Any, parts: list[str]) -> None:
    if value is None:
        parts.append("null")
    elif value is True:
        parts.append("true")
    elif value is False:
        parts.append("false")
    elif isinstance(value, str):
        parts.append(encode_basestring_ascii(value))
    elif isinstance(value, int):
        parts.append(int.__repr__(value))
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise TypeError("JSON has no NaN and no infinity")
        parts.append(format(value, "f"))
    elif isinstance(value, Mapping):
        separator = "{"
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a JSON key is text, not {type(key).__name__}")
            parts.append(f"{separator}{encode_basestring_ascii(key)}:")
            _write(item, parts)
            separator = ","
        parts.append("}" if value else "{}")
    elif isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        separator = "["
        for item in value:
            parts.append(separator)
            _write(item, parts)
            separator = ","
        parts.append("]" if value else "[]")
    else:
        raise TypeError(f"{type(value).__name__} cannot be written as JSON exactly")


def redact(value: Any) -> Any:
    """A copy fit for logs and echoes: the value of every secret field is replaced, at any depth.

    An ``authorize`` that is an object (the venue's answer) is kept; only texts and lists are secrets.
    """
    if isinstance(value, Mapping):
        return {
            key: _hide(item) if key in SECRET_FIELDS and not isinstance(item, Mapping) else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redact(item) for item in value]
    return value


def _hide(value: Any) -> Any:
    return [NOT_SHOWN for _ in value] if isinstance(value, list) else NOT_SHOWN
