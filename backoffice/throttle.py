"""How often somebody may try something: log in, sign up, ask for a reset. Counted in Redis for all processes together.

For each thing and person Redis keeps when the last tries were, by its own clock; one script drops what is older than
the window, counts, and writes the next one down. Who is counted is kept as a hash: there are no addresses in Redis.
"""

import hashlib
import logging
import math
from typing import Any, ClassVar, Final

import redis

from backoffice import metrics
from backoffice.cache import redis_client
from backoffice.errors import DomainError

_log = logging.getLogger(__name__)

# Key: the list of tries, oldest first. Arguments: limit, window in microseconds. Answers 0, or microseconds to wait.
_TAKE: Final = """
local time = redis.call('time')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local window = tonumber(ARGV[2])
while true do
  local oldest = redis.call('lindex', KEYS[1], 0)
  if not oldest or tonumber(oldest) > now - window then break end
  redis.call('lpop', KEYS[1])
end
local used = redis.call('llen', KEYS[1])
if used >= tonumber(ARGV[1]) then
  return tonumber(redis.call('lindex', KEYS[1], used - tonumber(ARGV[1]))) + window - now
end
redis.call('rpush', KEYS[1], string.format('%.0f', now))
redis.call('pexpire', KEYS[1], math.ceil(window / 1000))
return 0
"""

REFUSALS: Final = metrics.Counter("throttled_total", "Tries refused as one too many", ("what",))


class TooManyRequests(DomainError):
    """Tried more often than anybody needs to; it may be tried again in ``wait_seconds``."""

    code: ClassVar[str] = "TOO_MANY_REQUESTS"

    def __init__(self, wait_seconds: int) -> None:
        super().__init__(f"Too many tries. Try again in {_spelled(wait_seconds)}.")
        self.wait_seconds = wait_seconds


def take(what: str, who: str, *, limit: int, seconds: int) -> None:
    """Count one try: at most ``limit`` in any ``seconds``, by Redis's clock. A try that is refused is not counted.

    With Redis away nobody is refused: whoever guesses passwords then still meets the lock of the account.

    :raises TooManyRequests: if it is one too many; it says when to come back.
    """
    client: Any = redis_client()
    try:
        wait = int(client.eval(_TAKE, 1, _name(what, who), limit, seconds * 1_000_000))
    except redis.RedisError as found:
        _log.warning("tries are not counted", extra={"what": what, "reason": type(found).__name__})
        return
    if wait > 0:
        REFUSALS.add(what=what)
        raise TooManyRequests(math.ceil(wait / 1e6))


def forget(what: str, who: str) -> None:
    """Begin anew: the person has shown who they are."""
    try:
        redis_client().delete(_name(what, who))
    except redis.RedisError as found:
        _log.warning("tries are still counted", extra={"what": what, "reason": type(found).__name__})


def _name(what: str, who: str) -> str:
    return f"throttle:{what}:{hashlib.sha256(who.strip().lower().encode()).hexdigest()[:32]}"


def _spelled(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{math.ceil(seconds / 60)} minutes"
