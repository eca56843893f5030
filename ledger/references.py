"""References that clients write on payments: short enough to say on the telephone, with a check sign.

`NX-7K3D-9Q2P`: seven signs by chance and one that checks them, of an alphabet without what is taken for something else
(0 and O, 1, I and L). The alphabet has 31 signs, a prime, and each place weighs differently: one wrong sign, or two
neighbors swapped, never gives another good reference.
"""

import re
import secrets
from typing import Final

from django.db.models import Model

SIGNS: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
PREFIX: Final = "NX"
LENGTH: Final = 8
# Whatever people and banks put between the signs.
_BETWEEN: Final = r"[\s\-–./_]*"
_WRITTEN: Final = re.compile(rf"(?={PREFIX[0]}{_BETWEEN}{PREFIX[1]}((?:{_BETWEEN}[{SIGNS}]){{{LENGTH}}}))")


def new() -> str:
    """A reference by chance; whether it is taken, its table says."""
    body = "".join(secrets.choice(SIGNS) for _ in range(LENGTH - 1))
    return _spoken(body + _check_sign(body))


def unused(model: type[Model], field: str = "reference") -> str:
    """A reference that no row of a table has yet, in the column that keeps them."""
    while model._default_manager.filter(**{field: (found := new())}).exists():
        pass
    return found


def is_good(signs: str) -> bool:
    """Whether eight signs, without prefix and dashes, are a reference."""
    return len(signs) == LENGTH and set(signs) <= set(SIGNS) and _check_sign(signs[:-1]) == signs[-1]


def found_in(text: str) -> list[str]:
    """Every good reference in a text, in its order, each once: in lower case, spaced out, or inside of a sentence."""
    found = (re.sub(_BETWEEN, "", match[1]) for match in _WRITTEN.finditer(text.upper()))
    return list(dict.fromkeys(_spoken(signs) for signs in found if is_good(signs)))


def _check_sign(body: str) -> str:
    return SIGNS[-sum((place + 2) * SIGNS.index(sign) for place, sign in enumerate(body)) % len(SIGNS)]


def _spoken(signs: str) -> str:
    return f"{PREFIX}-{signs[:4]}-{signs[4:]}"
