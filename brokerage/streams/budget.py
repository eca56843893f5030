"""Shared request budgets: how often each account may ask the venue, counted in Redis for all processes together.

For each account and group of calls Redis keeps a log of when requests left, by its own clock. One script drops what is
older than the window, counts, and writes the next one down: one round trip for a request, and no two processes can
take the same place. A log rather than a bucket that refills: a bucket that can never let more than N through in any
minute must give away either its burst or half of its rate, the log neither. It costs 20 bytes for each request of the
last minute.

The venue counts when a request arrives, we count when it leaves. So that a slow request followed by a quick one does
not make one too many, our window is longer than the venue's by `WIRE_SECONDS`.

Who finds no place waits until the instant it was told, in the order of asking, and only the first of a process asks
again. A group may keep its last places for purchases, sales and what keeps a connection alive: those never stand
behind questions.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import redis
from redis.asyncio import Redis
from redis.exceptions import RedisError

from backoffice import metrics
from backoffice.cache import redis_client
from brokerage.deriv.budgets import Allowance
from brokerage.deriv.errors import RetryLater
from brokerage.deriv.opening import BUDGETS
from brokerage.streams.budget_scripts import BLOCK, LEARN, STANDING, TAKE, UNBLOCK

log = logging.getLogger(__name__)
WIRE_SECONDS: Final = 2
# After a refusal by the venue a group of an account rests: so long at first, twice as long each time, at most so long.
FIRST_REST_SECONDS: Final = 2.0
LONGEST_REST_SECONDS: Final = 60.0
# How long a request that tries again after a rest may take before another one does.
TRIAL_SECONDS: Final = 2.0

REFUSALS: Final = metrics.Counter(
    "venue_rate_refusals_total", "Requests the venue refused as one too many", ("generation", "group")
)
SHORTAGES: Final = metrics.Counter(
    "venue_budget_shortages_total",
    "Requests that found no place in their budget in time",
    ("generation", "group"),
)


@dataclass(frozen=True, slots=True)
class Taken:
    """A request may leave, or when to ask again (Redis's clock, epoch seconds) and in how many seconds that is."""

    is_admitted: bool
    at: float
    wait: float
    is_trial: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How one group of an account stands now."""

    used: int
    limit: int
    seconds: int
    rests_for: float
    """Seconds for which nothing leaves, since the venue refused; 0 if it does not rest."""

    @property
    def fraction(self) -> float:
        return self.used / self.limit


def log_name(account: str, generation: str, group: str) -> str:
    """The Redis list of when requests left: epoch microseconds, oldest first."""
    return f"budget:left:{account}:{generation}:{group}"


def rest_name(account: str, generation: str, group: str) -> str:
    """The Redis hash that remembers a refusal: how long the rest is, and until when."""
    return f"budget:rest:{account}:{generation}:{group}"


def limits_name(generation: str) -> str:
    """The Redis hash of limits the venue told, by group."""
    return f"budget:limits:{generation}"


async def take(
    client: Redis,
    account: str,
    generation: str,
    group: str,
    *,
    urgent: bool = False,
    at: float | None = None,
    allowance: Allowance | None = None,
) -> Taken:
    """Ask for one place, in one round trip; a yes is counted. A second identical call asks for another place.

    `at` is for proofs: an instant (epoch seconds) instead of Redis's clock, and `allowance` instead of the
    generation's own.

    :raises RedisError: if Redis cannot be asked; nothing may leave then.
    """
    given = allowance or BUDGETS[generation].allowances[group]
    answer: list[int] = await client.register_script(TAKE)(
        keys=[log_name(account, generation, group), rest_name(account, generation, group), limits_name(generation)],
        args=[group, given.count, given.reserved, (given.seconds + WIRE_SECONDS) * 1_000_000, int(urgent),
              int(TRIAL_SECONDS * 1e6), "" if at is None else round(at * 1e6)],
    )  # fmt: skip
    yes, instant, now, trial = (int(each) for each in answer)
    return Taken(bool(yes), instant / 1e6, max(instant - now, 0) / 1e6, bool(trial))


async def block(client: Redis, account: str, generation: str, group: str) -> float:
    """The venue refused: let the group rest, twice as long as the last time. Returns for how many seconds.

    Several refusals of one burst are one: a second call while it rests changes nothing.
    """
    rest = await client.register_script(BLOCK)(
        keys=[rest_name(account, generation, group)],
        args=[int(FIRST_REST_SECONDS * 1e6), int(LONGEST_REST_SECONDS * 1e6)],
    )
    return int(rest) / 1e6


async def unblock(client: Redis, account: str, generation: str, group: str) -> None:
    """The venue took the trial after a rest: all is well again."""
    await client.register_script(UNBLOCK)(keys=[rest_name(account, generation, group)])


async def learn(client: Redis, generation: str, limits: Mapping[str, int]) -> None:
    """Go by what the venue says it takes, in every process from the next request on. Nonsense is not believed.

    What was learned is kept until the venue says otherwise.
    """
    known = {
        group: count
        for group, count in limits.items()
        if count >= 1 and group in BUDGETS[generation].allowances
    }
    if len(known) < len(limits):
        log.warning("the venue tells limits that make no sense", extra={"limits": dict(limits)})
    if known:
        told = [str(part) for pair in known.items() for part in pair]
        await client.register_script(LEARN)(keys=[limits_name(generation)], args=told)


def standing(accounts: Iterable[str]) -> dict[str, dict[str, Standing]]:
    """How every group of these accounts (links' names) stands, by `<generation> <group>`, in one round trip.

    Groups of which nothing left lately and that do not rest are left out.

    :raises redis.RedisError: if Redis cannot be asked.
    """
    names = list(accounts)
    kinds = [(generation, group, allowance) for generation, budgets in BUDGETS.items()
             for group, allowance in budgets.allowances.items()]  # fmt: skip
    keys = [limits_name(generation) for generation, _, _ in kinds]
    for name in names:
        for generation, group, _ in kinds:
            keys += [log_name(name, generation, group), rest_name(name, generation, group)]
    args: list[Any] = [len(kinds)]
    for _, group, allowance in kinds:
        args += [group, allowance.count, allowance.seconds * 1_000_000]
    client: Any = redis_client()
    rows = iter(client.eval(STANDING, len(keys), *keys, *args))
    found: dict[str, dict[str, Standing]] = {}
    for name in names:
        found[name] = {}
        for generation, group, allowance in kinds:
            used, limit, rests = (int(next(rows)) for _ in range(3))
            if used or rests:
                found[name][f"{generation} {group}"] = Standing(used, limit, allowance.seconds, rests / 1e6)
    return found


def used(accounts: Iterable[str]) -> dict[str, dict[str, float]]:
    """Which fraction of its limit each group of these accounts used up in its last seconds; one round trip.

    :raises redis.RedisError: if Redis cannot be asked.
    """
    return {
        account: {group: each.fraction for group, each in groups.items()}
        for account, groups in standing(accounts).items()
    }


class AccountBudget:
    """The `Admission` of one account's connection (an account's primary key, or `public`). For one event loop."""

    def __init__(self, client: Redis, account: str, generation: str) -> None:
        self._redis, self._account, self._generation = client, account, generation
        self._budgets = BUDGETS[generation]
        # Who waits in this process, in the order of asking; what is urgent waits in a queue of its own.
        self._queues: dict[tuple[str, bool], asyncio.Lock] = {}
        self._trials: set[str] = set()
        self._telling: set[asyncio.Task[None]] = set()

    async def admit(self, call: str, *, until: float, urgent: bool) -> None:
        """See `Admission.admit`. With Redis away only a heartbeat leaves: a connection must not die of not counting.

        :raises RetryLater: `BUDGET` if there is no place in time, `BUDGET_UNKNOWN` if Redis cannot be asked.
        """
        group = self._budgets.group(call)
        queue = self._queues.setdefault((group, urgent), asyncio.Lock())
        try:
            async with asyncio.timeout_at(until), queue:
                await self._wait(group, until, urgent)
        except TimeoutError:
            raise self._short(group) from None
        except RedisError as found:
            if call != "ping":
                problem = f"the budget cannot be read: {type(found).__name__}"
                raise RetryLater("BUDGET_UNKNOWN", problem) from found

    async def _wait(self, group: str, until: float, urgent: bool) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # Shielded: the Redis client takes a cancellation for itself at times.
            taken = await asyncio.shield(
                take(self._redis, self._account, self._generation, group, urgent=urgent)
            )
            if taken.is_admitted:
                if taken.is_trial:
                    self._trials.add(group)
                return
            if loop.time() + taken.wait > until:
                raise self._short(group)
            await asyncio.sleep(taken.wait)

    def _short(self, group: str) -> RetryLater:
        self._tell(self._count(SHORTAGES, group))
        return RetryLater("BUDGET", f"too many requests of the group {group}; nothing was sent")

    def refused(self, call: str) -> None:
        group = self._budgets.group(call)
        self._trials.discard(group)
        self._tell(self._rest(group))

    def accepted(self, call: str) -> None:
        group = self._budgets.group(call)
        if group in self._trials:
            self._trials.discard(group)
            self._tell(unblock(self._redis, self._account, self._generation, group))

    async def _rest(self, group: str) -> None:
        await self._count(REFUSALS, group)
        seconds = await block(self._redis, self._account, self._generation, group)
        log.warning(
            "the venue refuses requests as too many",
            extra={"link": self._account, "group": group, "rest_seconds": seconds},
        )

    async def _count(self, counter: metrics.Counter, group: str) -> None:
        await asyncio.to_thread(counter.add, generation=self._generation, group=group)

    def _tell(self, telling: Any) -> None:
        """Beside whoever asked: an answer does not wait for this, nor is it lost with it."""
        task = asyncio.create_task(self._quietly(telling))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    @staticmethod
    async def _quietly(telling: Any) -> None:
        try:
            await telling
        except redis.RedisError as found:
            log.warning("a budget could not be told", extra={"reason": type(found).__name__})
