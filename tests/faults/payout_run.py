"""The whole campaign on real processes: workers, scheduler, custodian and both servers are killed while payments leave."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import redis
from django.db import DatabaseError, connection
from django.utils import timezone

from ledger import batches, payments
from ledger.models import Payment, PaymentBatch
from tests.faults import crashing_payments
from tests.faults.checks import check_books
from tests.faults.payouts import BY, DONE, Findings, Payouts, broken_invariants, drawn, told
from tests.faults.stage import Stage
from tests.ledger import paying
from tests.ledger.custodian import Desk
from tests.running import until

PATIENCE = 300.0
# A payout that the custodian makes late was made by then; only after it is anybody sure that it was not.
SURE_AFTER = 10.0
IN_FILE = 20


@dataclass
class Report:
    """What a run found."""

    seed: int
    found: Findings
    fell: list[str] = field(default_factory=list)
    settled: int = 0
    batch: list[str] = field(default_factory=list)
    books: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def problems(self) -> list[str]:
        return [*self.found.problems, *self.batch, *self.books]


class Insistent(Payouts):
    """Asks again while servers are away, as an app does, with the same key."""

    def once(self, do: Callable[[], Payment]) -> Payment:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return do()
            except (DatabaseError, redis.RedisError):
                connection.close()
                assert time.monotonic() < end, "the database did not come back"
                time.sleep(0.2)


def campaign(stage: Stage, count: int, seed: int, say: Callable[[str], None] = lambda text: None) -> Report:
    """`count` payments, each with what the seed has fall on it, and on everybody so many times."""
    begun, draw = time.monotonic(), random.Random(seed)
    desk = Desk(f"http://127.0.0.1:{stage.running.custodian_port}")
    world = Insistent(desk, stage.crashes, draw)
    report = Report(seed, Findings())
    everybody = _everybody(stage, world, draw, count)
    for number, fault in enumerate(drawn(draw, count)):
        for name, act in everybody.get(number, []):
            act()
            report.fell.append(name)
            say(f"{number} payments asked for: {name}")
        row = world.ask(f"payout-{number}", fault)
        for _ in range(draw.choice([1, 1, 2])):  # a queue may deliver twice
            _nudge(stage, row)
    say(f"{count} payments asked for after {time.monotonic() - begun:.0f} s")
    report.settled = _wait(world, desk)
    report.batch = in_a_file(stage)
    report.found = world.check()
    report.books = check_books() + broken_invariants()
    report.seconds = time.monotonic() - begun
    return report


def _everybody(
    stage: Stage, world: Payouts, draw: random.Random, count: int
) -> dict[int, list[tuple[str, Callable[[], Any]]]]:
    """After how many payments which server or process is killed."""

    def restart_custodian() -> None:
        stage.restart("custodian")
        world.arm_again()

    acts: list[tuple[str, int, Callable[[], Any]]] = [
        ("PostgreSQL restarted", 2, stage.restart_postgresql),
        ("Redis restarted", 2, stage.restart_redis),
        ("the custodian killed and started again", 3, restart_custodian),
        ("the workers killed", 3, lambda: stage.restart("workers")),
        ("the scheduler killed", 1, lambda: stage.restart("scheduler")),
    ]
    found: dict[int, list[tuple[str, Callable[[], Any]]]] = {}
    for name, times, act in acts:
        for _ in range(times):
            found.setdefault(draw.randrange(count // 10, count), []).append((name, act))
    return found


def _nudge(stage: Stage, row: Payment) -> None:
    try:
        stage.send_again("payouts.push", row.pk)
    except (redis.RedisError, OSError):
        return  # lost: the sweep finds it


def _wait(world: Payouts, desk: Desk) -> int:
    """Until all are final; meanwhile the payments desk settles what the custodian never heard of. How many those were."""
    settled: set[int] = set()

    def done() -> bool:
        try:
            rows = [row for row in world.rows() if row.state not in DONE]
            known = {row["id"] for row in desk.books()["payouts"]}
            for row in rows:
                is_old = (timezone.now() - row.changed_at).total_seconds() > SURE_AFTER
                if row.state == Payment.State.UNKNOWN and is_old and row.end_to_end_id not in known:
                    payments.settle(
                        row, was_paid=False, evidence="It is not in the custodian's books.", by=BY, at=timezone.now(),
                        key=f"settle-{row.uuid}",
                    )  # fmt: skip
                    settled.add(row.pk)
        except DatabaseError:
            connection.close()
            return False
        return not rows

    with suppress(AssertionError):  # what is not final is found by the check
        until(done, "every payment is final", PATIENCE, every=1.0)
    return len(settled)


def in_a_file(stage: Stage) -> list[str]:
    """A file of payments is sealed while PostgreSQL is restarted in the middle; what is wrong with it afterwards."""
    client = paying.funded("10000.00")
    to = paying.beneficiary(client)
    rows = [paying.withdrawal(client, "10.00", to).payments.get() for _ in range(IN_FILE)]
    middle = rows[IN_FILE // 2].end_to_end_id
    crashing_payments.arm(stage.crashes, crashing_payments.PAUSE, middle)
    batch = rows[0].batch
    assert batch is not None
    batches.seal(batch, by=BY, at=timezone.now())
    stage.send_again("payouts.seal", batch.pk)
    until(
        (stage.crashes / f"{crashing_payments.PAUSED}.{middle}").exists, "a worker is in the middle of it", 60
    )
    stage.restart_postgresql()
    (stage.crashes / f"{crashing_payments.PAUSE}.{middle}").unlink()

    def sealed() -> bool:
        return PaymentBatch.objects.filter(pk=batch.pk, state=PaymentBatch.State.SEALED).exists()

    until(sealed, "the file is written", 90, every=0.5)
    return _file_problems(PaymentBatch.objects.get(pk=batch.pk), rows)


def _file_problems(batch: PaymentBatch, rows: list[Payment]) -> list[str]:
    total = sum(row.amount for row in rows)
    wrong = []
    if (batch.count, batch.control_sum) != (len(rows), total):
        wrong.append(f"{batch} has {batch.count} payments of {batch.control_sum}, not {len(rows)} of {total}")
    for row in rows:
        if (many := (batch.file or "").count(f"<EndToEndId>{row.end_to_end_id}</EndToEndId>")) != 1:
            wrong.append(f"{row} is {many} times in the file")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(DISTINCT subject_id) FROM ledger_entry WHERE kind = 'withdrawal' AND subject_id = ANY(%s)",
            [[row.withdrawal.uuid for row in rows]],
        )
        entries, booked = cursor.fetchone()
    if (entries, booked) != (len(rows), len(rows)):
        wrong.append(f"{booked} of {len(rows)} payments of a file were booked, by {entries} entries")
    out = payments.payments_out("EUR").posted
    return wrong + ([f"{out} EUR is on its way out, not {total}"] if out != total else [])


def shown(report: Report) -> str:
    """The report as it is printed."""
    return "\n".join([
        "", told(report.found), "",
        f"{report.settled} were settled by the desk: the custodian had never heard of them.",
        f"A file of {IN_FILE} payments sealed while PostgreSQL was restarted: {len(report.batch)} problems.",
        f"Invariants, ledger and event chain: {len(report.books)} problems.",
        *(f"! {each}" for each in (*report.batch, *report.books)),
        f"Seed {report.seed}, {report.seconds:.0f} s. Fell on everybody: {', '.join(report.fell) or 'nothing'}.",
    ])  # fmt: skip
