"""Checking a request's fields. A check says what is wrong with a value, in words, or nothing."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Check = Callable[[Any], str | None]


@dataclass(frozen=True, slots=True)
class Field:
    check: Check
    required: bool = False


def text(pattern: str) -> Check:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return "must be text"
        return None if compiled.fullmatch(value) else "has an unknown form"

    return check


def whole(low: int | None = None, high: int | None = None) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return "must be a whole number"
        return _range(value, low, high)

    return check


def number(low: int | None = None, high: int | None = None) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, (int, Decimal)) or isinstance(value, bool):
            return "must be a number"
        return _range(value, low, high)

    return check


def _range(value: int | Decimal, low: int | None, high: int | None) -> str | None:
    if low is not None and value < low:
        return f"must be at least {low}"
    if high is not None and value > high:
        return f"must be at most {high}"
    return None


def one_of(*options: str | int) -> Check:
    def check(value: Any) -> str | None:
        fits = not isinstance(value, bool) and any(type(value) is type(o) and value == o for o in options)
        return None if fits else f"must be one of {', '.join(str(option) for option in options)}"

    return check


def any_object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "must be an object"


def list_of(item: Check, longest: int = 100) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, list):
            return "must be a list"
        if len(value) > longest:
            return f"must have at most {longest} entries"
        return next((problem for problem in map(item, value) if problem), None)

    return check


def either(first: Check, second: Check) -> Check:
    def check(value: Any) -> str | None:
        return None if first(value) is None or second(value) is None else "has an unknown form"

    return check


def problems(value: Mapping[str, Any], fields: Mapping[str, Field], prefix: str = "") -> dict[str, str]:
    """What is wrong, by field; empty if nothing is."""
    found = {
        prefix + name: "is missing" for name, field in fields.items() if field.required and name not in value
    }
    for name, item in value.items():
        field = fields.get(name)
        problem = "is not a field of this request" if field is None else field.check(item)
        if problem:
            found[prefix + name] = problem
    return found
