"""Keeps secrets out of logs and stored error texts: by the name they go under, by their look, by their value.

Nothing here depends on who logs: a careless `logger.info("%s", headers)` comes out masked too.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

MASK: Final = "***"

_WORD: Final = (
    r"authori[sz]ation|authori[sz]e|password|passwd|passphrase|secret|token|api[-_ ]?key|field[-_ ]?keys?"
    r"|private[-_ ]?key|credential|cookie|session[-_ ]?id|csrf"
)
_NAME: Final = re.compile(_WORD, re.IGNORECASE)
# name = value, name: value, "name": "value" inside a text; a value that opens a structure is looked into instead.
_PAIR: Final = re.compile(
    rf"""(?P<name>[\w.-]*(?:{_WORD})[\w.-]*\\*["']?\s*[:=]\s*)"""
    r"""(?P<value>\\+"(?:(?!\\+").)*\\+"|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:bearer|basic|token)\s+[^\s,;"'}\])]+|[^\s,;&"'{}\[\]()]+)""",
    re.IGNORECASE,
)
_LOOKS: Final = (
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"), MASK),  # a JSON web token
    (re.compile(r"(\w+://[^\s:/@]*):[^\s/@]+@"), rf"\1:{MASK}@"),  # the password in a URL
)
# No text without one of these has anything to mask by its look or name: nearly every text is let go here.
_SUSPICIOUS: Final = re.compile(rf"{_WORD}|bearer|basic|eyj|://", re.IGNORECASE)
_hidden: set[str] = set()


def hide(*values: str) -> None:
    """Mask these very values wherever they appear from now on: the deployment's own keys. Short ones are ignored."""
    _hidden.update(value for value in values if len(value) >= 8)


def mask_text(text: str) -> str:
    """The text with everything that looks or is named like a secret replaced by `***`."""
    for value in _hidden:
        text = text.replace(value, MASK)
    if not _SUSPICIOUS.search(text):
        return text
    for look, instead in _LOOKS:
        text = look.sub(instead, text)
    return _PAIR.sub(lambda found: f"{found['name']}{MASK}", text)


def mask(value: Any) -> Any:
    """A copy of a JSON-like value without secrets; whatever stands under a secret's name becomes `***`."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {key: _under(str(key), inside) for key, inside in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask(inside) for inside in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask_text(str(value))


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return bool(_NAME.search(name))


def _under(name: str, value: Any) -> Any:
    if not _is_secret(name):
        return mask(value)
    if isinstance(value, list | tuple):
        return [MASK for _ in value]
    if isinstance(value, Mapping) or value in (None, "", True, False):
        return mask(value)
    return MASK
