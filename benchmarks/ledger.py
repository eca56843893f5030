"""The ledger: entries a second with everything on, beside pgbench calling the same statement and beside django-hordak.

Everything on: one balanced entry of two lines between two of 200 guarded accounts, with its idempotency key, its
event, its seal and every trigger; each in a transaction of its own, with fsync. pgbench calls the very same function
with the same number of clients, without Python; what lies between the two is ours. django-hordak 2.0 moves money
between two of 200 accounts by its own ``transfer_to``, in an environment and a database of its own on the same server.
It keeps no event, no key and no guard against an overdraft.

Where the time of a batch goes, by processor time on a busy machine in November 2026: per entry 85 µs in the server and
50 in Python, 15 of it drawing the transfer. In the server: the trigger that proves sums, lines, books and stated balances
24 (half of it the update of the balances), rows and indexes of entry and postings 19, its event 13, reading the call 8,
walking the lines 8, locking the accounts 7, the trigger on entries 4, looking for keys 2. A batch over 200 accounts locks
most of them until its commit is on the disk, so a second process helps by what Python takes and no more. Next would be: no
second reading of what the function has just computed (a guard that the function can satisfy by its own sums), an event
row with fewer indexes until it is sequenced, and two batches under way in one process.

Not said: what a network between web and database would add to each of the three.
"""

import json
import random
import subprocess
import time
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks import Figure
from benchmarks.ground import Ground, say

ACCOUNTS = 200
BATCH = 100
HORDAK = "django-hordak==2.0.0 Django==5.2.19 psycopg2-binary==2.9.13"
SCRIPT = Path(__file__).parent / "ledger.pgbench"


def run(ground: Ground) -> list[Figure]:
    first, last, house = prepare()
    figures: list[Figure] = []
    ours: dict[int, float] = {}
    for count, goal in ((1, 0.8), (4, 0.6)):
        ours[count] = sum(ground.at_once(post, count, first, last, ground.seconds))
        theirs = pgbench(ground, count, first, last)
        say(f"  {count} processes: {ours[count]:.0f} posted, pgbench {theirs:.0f} a second")
        figures.append(Figure(f"`journal.post`, {count} process{'es' if count > 1 else ''}", ours[count], "entries/s",
                              "pgbench, the same statement", theirs, goal))  # fmt: skip
    python = ground.environment_of("hordak", HORDAK)
    for count, goal in ((1, 4.0), (4, 2.5)):
        if python is None:
            say("  django-hordak cannot be installed here")
            break
        theirs = hordak(ground, python, count)
        figures.append(Figure(f"`journal.post`, {count} process{'es' if count > 1 else ''}", ours[count], "entries/s",
                              "django-hordak 2.0 `transfer_to`", theirs, goal))  # fmt: skip
    for name, hot in (("spread over 200 accounts", 0), ("all against one house account", house)):
        rate = sum(ground.at_once(post_many, 1, first, last, hot, ground.seconds))
        figures.append(
            Figure(f"`journal.post_many`, batches of {BATCH}, {name}", rate, "entries/s", goal=12000)
        )
    rate = sum(ground.at_once(post_many, 2, first, last, 0, ground.seconds))
    figures.append(Figure("the same spread, 2 processes", rate, "entries/s"))
    figures.append(verified())
    return figures


def verified() -> Figure:
    """How fast `verify_ledger` recomputes everything that was posted."""
    from ledger.verify import verify

    begun, checks = time.perf_counter(), list(verify())
    seconds = time.perf_counter() - begun
    assert not [check for check in checks if check.found]
    rows = sum(check.rows for check in checks)
    return Figure(
        "`verify_ledger`, all checks",
        rows / seconds,
        "rows/s",
        note=f"{rows:,} rows read by {len(checks)} checks",
    )


def prepare() -> tuple[int, int, int]:
    """200 guarded accounts with money on them, in one row of numbers, and a house account."""
    from django.utils import timezone

    from backoffice.who import By
    from ledger import accounts, journal
    from ledger.models import Account

    now, by = timezone.now(), By.system("bench")
    house = accounts.house("demo", "USD", "bench", "asset")
    rows = [accounts.open_account(book="demo", currency="USD", kind="liability", purpose="bench",
                                  owner=("bench", uuid.uuid4()), at=now) for _ in range(ACCOUNTS)]  # fmt: skip
    numbers = [row.pk for row in rows]
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), (
        "pgbench draws from an unbroken row of numbers"
    )
    journal.post_many(
        [journal.Draft(kind="bench", lines=[journal.debit(house, Decimal(10**9)), journal.credit(row, Decimal(10**9))],
                       at=now, key=f"fund-{row.pk}") for row in rows],
        by=by,
    )  # fmt: skip
    assert Account.objects.filter(pk__in=numbers, posted=10**9).count() == ACCOUNTS
    return numbers[0], numbers[-1], house.pk


def post(number: int, first: int, last: int, seconds: float) -> float:
    """Entries a second of one process."""
    from django.utils import timezone

    from backoffice.who import By
    from ledger import journal
    from ledger.models import Account

    by, draw, prefix = By.system("bench"), random.Random(number), uuid.uuid4().hex
    found = {row.pk: row for row in Account.objects.filter(pk__range=(first, last))}
    done, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        one, other = draw.sample(range(first, last + 1), 2)
        amount = Decimal(draw.randrange(1, 10000)) / 100
        lines = [journal.debit(found[one], amount), journal.credit(found[other], amount)]
        journal.post(kind="bench", lines=lines, by=by, at=timezone.now(), key=f"{prefix}-{done}")
        done += 1
    return done / spent


def post_many(number: int, first: int, last: int, hot: int, seconds: float) -> float:
    """Entries a second of one process, a hundred in each statement; all against one account if it is given."""
    from django.utils import timezone

    from backoffice.who import By
    from ledger import journal
    from ledger.models import Account

    by, draw, prefix = By.system("bench"), random.Random(number), uuid.uuid4().hex
    wanted = [*range(first, last + 1), *([hot] if hot else [])]
    found = {row.pk: row for row in Account.objects.filter(pk__in=wanted)}
    done, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        drafts = []
        for _ in range(BATCH):
            one, other = draw.sample(range(first, last + 1), 2)
            amount = Decimal(draw.randrange(1, 10000)) / 100
            lines = [journal.debit(found[hot or one], amount), journal.credit(found[other], amount)]
            drafts.append(journal.Draft(kind="bench", lines=lines, at=timezone.now(), key=f"{prefix}-{done}"))
            done += 1
        journal.post_many(drafts, by=by)
    return done / spent


def pgbench(ground: Ground, clients: int, first: int, last: int) -> float:
    """Calls a second of the same function with as many clients, by PostgreSQL's own measuring tool."""
    command = [ground.binary("pgbench"), "--no-vacuum", "--file", str(SCRIPT), "--client", str(clients), "--jobs", str(min(clients, 2)),
               "--time", str(max(1, round(ground.seconds))), "--define", f"first={first}", "--define", f"last={last}"]  # fmt: skip
    done = subprocess.run(command, env=ground.psql_environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-600:])
    (rate,) = (line.split("=")[1].split()[0] for line in done.stdout.splitlines() if line.startswith("tps"))
    return float(rate)


def hordak(ground: Ground, python: list[str], processes: int) -> float:
    """Transfers a second of django-hordak's own."""
    script = Path(__file__).parent / "hordak_script.py"
    given: dict[str, Any] = {"url": ground.database_url, "processes": processes, "seconds": ground.seconds}
    done = subprocess.run(
        [*python, str(script), json.dumps(given)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-600:])
    return float(done.stdout.split()[-1])
