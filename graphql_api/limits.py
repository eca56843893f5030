"""How often something may be tried over the API: by address, by account, by client. Counted by `backoffice.throttle`.

Each limit is tries within seconds; RATE_LIMITS sets others. The limits of one account are wide, so that a stranger
cannot lock somebody out of it: what stops guessing is the limit of one address (and its network) on one account.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from strawberry.types import Info

from backoffice import throttle
from backoffice.addresses import network, of

LIMITS: Final = {
    "sign_up_address": (20, 3600),
    "sign_up_account": (5, 3600),
    "log_in_address": (30, 600),
    "log_in_account": (100, 3600),
    "log_in_account_address": (10, 900),
    "reset_address": (10, 3600),
    "reset_account": (5, 3600),
    "token_address": (60, 3600),
    "refresh_address": (300, 600),
    "trade": (120, 60),
    "fund": (30, 600),
    "deposit": (30, 600),
    "beneficiary": (20, 3600),
    "withdrawal": (30, 600),
    "quote": (60, 60),
    "transfer": (30, 600),
    "subscribe": (600, 60),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds in this deployment."""

    are_on: bool
    numbers: dict[str, tuple[int, int]]


def take(what: str, who: str) -> None:
    """Count one try. :raises TooManyRequests: if it is one too many; it was not counted then."""
    chosen = read(settings.CONFIG.rate_limits)
    if chosen.are_on:
        limit, seconds = chosen.numbers[what]
        throttle.take(what, who, limit=limit, seconds=seconds)


def forget(what: str, who: str) -> None:
    """Begin anew: the person has shown who they are."""
    if read(settings.CONFIG.rate_limits).are_on:
        throttle.forget(what, who)


def take_all(info: Info, *pairs: tuple[str, str]) -> None:
    """Count one try of each, until one is too many: the answer then says in its header too when to come back.

    :raises TooManyRequests: if one of them is one too many.
    """
    try:
        for what, who in pairs:
            take(what, who)
    except throttle.TooManyRequests as refusal:
        info.context.response["Retry-After"] = str(refusal.wait_seconds)
        raise


def address_of(info: Info) -> str:
    """By whom strangers are counted: the network they call from."""
    return network(of(info.context.request))


@lru_cache(maxsize=8)
def read(text: str) -> Limits:
    """RATE_LIMITS as it was set. :raises ValueError: if it is not a list of `name=tries/seconds`."""
    text = text.strip()
    if text == "off":
        return Limits(False, {})
    numbers: dict[str, Any] = dict(LIMITS)
    for one in filter(None, (part.strip() for part in text.split(","))):
        name, _, rest = one.partition("=")
        tries, _, seconds = rest.partition("/")
        if name not in LIMITS or not (tries.isdigit() and seconds.isdigit()) or not int(tries) * int(seconds):
            raise ValueError(
                f"RATE_LIMITS: “{one}” is not like log_in_address=30/600; known: {', '.join(LIMITS)}."
            )
        numbers[name] = (int(tries), int(seconds))
    return Limits(True, numbers)
