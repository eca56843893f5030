"""The venue's dataclasses to plain JSON values and back, for sending them between our own processes.

Decimals travel as texts, so any JSON library keeps them exact. Reading checks every value against the
declared type: what comes back is what was sent, or an error.
"""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_json(obj: Any) -> dict[str, Any]:
    """A dataclass as a dictionary of JSON values. Raises ``TypeError`` for a value JSON has no exact form for."""
    if not is_dataclass(obj) or isinstance(obj, type):
        raise TypeError(f"{type(obj).__name__} is not a dataclass")
    return {field.name: _plain(getattr(obj, field.name)) for field in fields(obj)}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return to_json(value)


def from_json(cls: type[T], data: Any) -> T:
    """The dataclass written by ``to_json``. Raises ``ValueError`` naming the first field that does not fit."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{cls.__name__}: an object was expected")
    hints: dict[str, Any] = _hints(cls)  # type: ignore[arg-type]  # a class is hashable
    if unknown := set(data) - set(hints):
        raise ValueError(f"{cls.__name__}: unknown field {sorted(unknown)[0]}")
    if missing := set(hints) - set(data):
        raise ValueError(f"{cls.__name__}: missing field {sorted(missing)[0]}")
    return cls(**{name: _typed(hint, data[name], f"{cls.__name__}.{name}") for name, hint in hints.items()})


@cache
def _hints(cls: type) -> dict[str, Any]:
    if not is_dataclass(cls):
        raise TypeError(f"{cls.__name__} is not a dataclass")
    return get_type_hints(cls)


def _typed(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        options = get_args(hint)
        if value is None and type(None) in options:
            return None
        (hint,) = (option for option in options if option is not type(None))
        return _typed(hint, value, where)
    if origin is Literal:
        if value in get_args(hint):
            return value
    elif origin is tuple:
        if isinstance(value, list):
            return tuple(_typed(get_args(hint)[0], item, where) for item in value)
    elif hint is Decimal:
        return _decimal(value, where)
    elif is_dataclass(hint) and isinstance(hint, type):
        return from_json(hint, value)
    elif type(value) is hint:  # exact, since True would pass for an int
        return value
    raise ValueError(f"{where}: {type(value).__name__} does not fit")


def _decimal(value: Any, where: str) -> Decimal:
    try:
        number = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise ValueError(f"{where}: not a decimal written as text")
    return number
