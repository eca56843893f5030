"""Money of the books in motion, for `books.py`: a statement imported, withdrawals asked for, agreed to and paid."""

import io
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import Figure, bank_day, measuring
from benchmarks.bare import Bare
from benchmarks.ground import Ground, say

LINES, IMPORT_S = 10_000, 15
WITHDRAWALS = 200
WRITTEN = (
    "ledger_hold", "ledger_withdrawal", "ledger_entry", "ledger_posting", "ledger_payment", "ledger_bankline",
    "compliance_activity", "compliance_decision", "compliance_approval", "compliance_vote", "backoffice_event",
    "backoffice_requestkey",
)  # fmt: skip
TABLES_OF_IMPORT = ("ledger_account", "ledger_deposit", "ledger_entry", "ledger_posting", "ledger_bankline", "backoffice_event",
                    "compliance_activity")  # fmt: skip
REFERENCE = Path(__file__).parent / "statement.sql"
ANSWER = (
    "... on WithdrawalAnswer { withdrawal { id state why amount { amount currency } fee { amount } } "
    "wallet { posted { amount } held { amount } available { amount } } } ... on Problem { code message }"
)
REQUEST = f"mutation($input: WithdrawalInput!) {{ requestWithdrawal(input: $input) {{ {ANSWER} }} }}"


def imported(ground: Ground, clients: Sequence[Any]) -> Iterator[Figure]:
    """A bank's file of so many lines: uploaded and booked; a third deposits, a third in suspense, a third money out."""
    from django.utils import timezone

    from backoffice.database import uuid7
    from backoffice.who import By
    from ledger.bank import accounts, importing

    many, by, at = ground.count(LINES, least=30), By.system("benchmark"), timezone.now()
    account = bank_day.account()
    paid = bank_day.deposits(clients, many // 3, at=at)
    content = bank_day.statement(paid, others=many - len(paid), at=at)
    bank = accounts.ledger_account(account, at=at)
    with Bare(*TABLES_OF_IMPORT) as bare:
        bare.take("ledger_account")
        bare.take("ledger_deposit", "id = ANY (%s)", [[row.pk for row in paid]])
        begun = time.perf_counter()
        row = importing.upload(account, name="bench.xml", content=content, by=by, at=at)
        uploaded = time.perf_counter() - begun
        outcomes = importing.preview(row).outcomes
        begun = time.perf_counter()
        done = importing.confirm(row, by=by, at=at, key=f"bench-{uuid7()}")
        booked = time.perf_counter() - begun
        assert (done.lines_new, sum(one.kind == "matched" for one in outcomes)) == (many, len(paid))
        reference = _by_copy(outcomes, {
            "account": account.pk, "statement": row.pk, "bank": bank.pk, "currency": bank_day.CURRENCY, "at": at,
            "suspense": accounts.suspense(bank_day.CURRENCY).pk,
            "unmatched_out": accounts.unmatched_out(bank_day.CURRENCY).pk,
        })  # fmt: skip
    say(f"{many:,} lines: uploaded in {uploaded:.1f} s, booked in {booked:.1f} s; bare SQL {reference:.1f} s")
    yield Figure(
        f"statement of {many:,} lines, uploaded and imported", uploaded + booked, "s", "COPY and INSERT … SELECT", reference,
        limit=IMPORT_S, note=f"{len(content) / 2**20:.1f} MB; upload {uploaded:.1f} s, import {booked:.1f} s",
    )  # fmt: skip


def _by_copy(outcomes: Sequence[Any], given: dict[str, Any]) -> float:
    """Seconds that the same lines take by bare SQL, from memory to the commit."""
    from django.db import connection, transaction

    rows = io.StringIO()
    for one in outcomes:
        line, named = one.line, one.deposit.reference if one.deposit is not None else ""
        said = (line.place, line.direction, line.amount, line.booked_on, line.text, line.counterparty, line.counterparty_iban,
                line.bank_id, one.fingerprint, named)  # fmt: skip
        rows.write("\t".join(map(str, said)) + "\n")
    rows.seek(0)
    begun = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE came (place int, direction text, amount numeric, booked_on date, text text, counterparty text, "
            "counterparty_iban text, bank_id text, fingerprint text, reference text) ON COMMIT DROP"
        )
        cursor.copy_expert("COPY came FROM STDIN", rows)
        cursor.execute("ANALYZE came")
        cursor.execute(REFERENCE.read_text(), given)
    return time.perf_counter() - begun


def withdrawn(ground: Ground, clients: Sequence[Any]) -> Iterator[Figure]:
    """Withdrawals asked for over the API, one by each client; then half of them agreed to, sent in a file, and paid."""
    from django.utils import timezone

    from ledger.models import Withdrawal

    many, at = min(ground.count(WITHDRAWALS, least=4), len(clients)), timezone.now()
    asked = _ready(clients[:many], at)
    began = Withdrawal.objects.order_by("-id").values_list("pk", flat=True).first() or 0
    with Bare("ledger_account", *WRITTEN) as bare:
        bare.take("ledger_account")
        questions = measuring.questions(asked[0])
        took = measuring.each(asked[1:])
        rows = list(Withdrawal.objects.filter(pk__gt=began).select_related("wallet", "hold").order_by("id"))
        assert len(rows) == many and {row.state for row in rows} == {"waiting"}, {row.state for row in rows}
        reference = bare.again(many, {"ledger_account": [row.wallet_id for row in rows]})
    say(f"requestWithdrawal: p95 {measuring.p95(took):.0f} ms; bare SQL {measuring.p95(reference):.1f} ms")
    yield Figure(
        "`requestWithdrawal`, p95", measuring.p95(took), "ms", "the same rows by bare SQL, p95", measuring.p95(reference),
        note=f"{many} clients, median {sorted(took)[len(took) // 2]:.0f} ms; {questions} questions in all",
    )  # fmt: skip
    yield _paid(rows[: many // 2], at)


def _ready(clients: Sequence[Any], at: datetime) -> list[Any]:
    """A request to be sent for each client, who is known, has money and a beneficiary, and is logged in."""
    from functools import partial

    from backoffice import sessions
    from backoffice.database import uuid7
    from backoffice.who import By
    from compliance.models import Membership
    from ledger import beneficiaries
    from ledger.models import WithdrawalRoute
    from tests.edges.api import App

    given = {"provider": "bank_file", "bank_account": bank_day.account(), "cool_off_hours": 0}
    WithdrawalRoute.objects.update_or_create(
        method="bank", currency_id=bank_day.CURRENCY, defaults={"least": 1, **given}
    )
    found, app = [], App()

    def ask(access: str, said: dict[str, str]) -> None:
        app.access = access
        assert "withdrawal" in app.data(REQUEST, input=said), said

    for client in clients:
        client.kyc_level = 2
        client.save()
        to = beneficiaries.add(
            client, method="bank", currency=bank_day.CURRENCY, holder=client.name, number="FR1420041010050500013M02606",
            by=By.system("benchmark"), at=at, key=f"bench-{uuid7()}",
        )  # fmt: skip
        user = Membership.objects.select_related("user").get(client=client).user
        said = {"beneficiary": str(to.uuid), "amount": "5.00", "key": f"bench-{uuid7()}"}
        found.append(partial(ask, sessions.start(user, at=at).access, said))
    return found


def _paid(rows: Sequence[Any], at: datetime) -> Figure:
    """Withdrawals a second, from the first agreement to the last payment that its line on the bank's statement confirms."""
    from backoffice.database import uuid7
    from backoffice.who import By
    from compliance.models import Approval
    from ledger.models import Withdrawal
    from tests import world

    by = By.user(world.staff("Payments approver", email=f"bench-{uuid7().hex[-12:]}@example.com"))
    waiting = list(Approval.objects.filter(kind="withdrawal", subject_id__in=[row.uuid for row in rows]))
    changed = {
        "ledger_withdrawal": [row.pk for row in rows], "ledger_hold": [row.hold_id for row in rows],
        "compliance_approval": [row.pk for row in waiting], "ledger_account": [row.wallet_id for row in rows],
    }  # fmt: skip
    with Bare(*changed, *(table for table in WRITTEN if table not in changed)) as bare:
        for table, keys in changed.items():
            bare.take(table, "id = ANY (%s)", [list(keys)])
        begun = time.perf_counter()
        _agree(waiting, by)
        _pay(rows, by, at)
        seconds = time.perf_counter() - begun
        reference = sum(bare.again(len(rows), changed)) / 1000
    left = Withdrawal.objects.filter(pk__in=changed["ledger_withdrawal"]).exclude(state="paid").count()
    assert not left, left
    say(f"{len(rows)} payments in {seconds:.1f} s; bare SQL {reference:.2f} s")
    return Figure(
        "withdrawals agreed to, sealed into a file, sent, seen on the statement and paid", len(rows) / seconds, "payments/s",
        "the same rows by bare SQL, a transaction each", len(rows) / reference,
        note=f"{len(rows)} payments in one file, one process",
    )  # fmt: skip


def _agree(waiting: Sequence[Any], by: Any) -> None:
    from django.utils import timezone

    from backoffice.database import uuid7
    from compliance import approvals

    for one in waiting:
        key = f"bench-{uuid7()}"
        approvals.approve(one, content_hash=one.content_hash, by=by, at=timezone.now(), key=key)


def _pay(rows: Sequence[Any], by: Any, at: datetime) -> None:
    """The file is sealed and sent, and a statement with a line for each payment is imported and claimed."""
    from django.utils import timezone

    from backoffice.database import uuid7
    from ledger import batches
    from ledger.bank import claims, importing
    from ledger.models import Payment, PaymentBatch
    from tests.ledger.statements import Entry, statement

    for batch in PaymentBatch.objects.filter(state=PaymentBatch.State.OPEN):
        batches.seal(batch, by=by, at=timezone.now())
        batches.mark_sent(batches.write(batch, now=timezone.now), by=by, at=timezone.now())
    sent = Payment.objects.filter(withdrawal__in=rows, state=Payment.State.SENT)
    lines = [
        Entry(amount=f"{one.amount:.2f}", side="DBIT", end_to_end=one.end_to_end_id, day=f"{at:%Y-%m-%d}") for one in sent
    ]  # fmt: skip
    content = statement(*lines, opening="9000000.00", currency=bank_day.CURRENCY, number=f"P{at:%H%M%S}")
    row = importing.upload(bank_day.account(), name="paid.xml", content=content, by=by, at=timezone.now())
    importing.confirm(row, by=by, at=timezone.now(), key=f"bench-{uuid7()}")
    while claims.sweep(at=timezone.now()):
        pass
