"""The invariants of the ledger and of what lies below it. Apps above register their own."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.models import Model

from backoffice import patience
from backoffice.models import Event
from backoffice.registry import Port
from ledger.control import client_money, closing, totals
from ledger.control.invariants import Invariant, Offender, invariants
from ledger.models import BalanceAssertion, Book, CustodianCursor, DepositAddress, Hold
from ledger.verify import verify

# By kind of subject: which of these are still going on. Whoever holds money for a kind of thing says so here.
live_subjects: Final[Port[Callable[[set[UUID]], set[UUID]]]] = Port("what money is held for")

# Postings that are looked at every time; the older ones at night.
RECENT: Final = 50_000
# Of each kind of thing that is stuck, how many are named.
NAMED: Final = 20
SEQUENCED_WITHIN: Final = timedelta(minutes=2)
READ_WITHIN: Final = timedelta(minutes=10)

_CHAIN: Final = """
WITH recent AS (
    SELECT p.id, p.account_id, p.balance_after,
           lag(p.balance_after) OVER w AS before,
           CASE WHEN (p.side = 'debit') = (a.kind IN ('asset', 'expense')) THEN p.amount ELSE -p.amount END AS change,
           row_number() OVER (PARTITION BY p.account_id ORDER BY p.id DESC) = 1 AS is_last, a.posted
    FROM ledger_posting p JOIN ledger_account a ON a.id = p.account_id
    WHERE p.id > (SELECT max(id) FROM ledger_posting) - %s
    WINDOW w AS (PARTITION BY p.account_id ORDER BY p.id)
)
SELECT account_id, id, balance_after, CASE WHEN is_last AND posted <> balance_after THEN posted ELSE before + change END
FROM recent WHERE before + change <> balance_after OR (is_last AND posted <> balance_after)
ORDER BY id LIMIT 100"""

_SUSPENSE: Final = """
SELECT a.id, a.posted, a.currency_id, min(e.effective_at)
FROM ledger_account a
CROSS JOIN LATERAL (SELECT coalesce(max(z.id), 0) AS id FROM ledger_posting z
                    WHERE z.account_id = a.id AND z.balance_after = 0) empty
JOIN ledger_posting p ON p.account_id = a.id AND p.id > empty.id
JOIN ledger_entry e ON e.id = p.entry_id
WHERE a.purpose = 'suspense' AND a.posted <> 0
GROUP BY a.id HAVING min(e.effective_at) < %s"""


def of_verify(*names: str) -> Callable[[datetime], Iterable[Offender]]:
    """Some checks of `ledger.verify`, or all of them, as the check of an invariant."""

    def check(at: datetime) -> Iterator[Offender]:
        for checked in verify(limit=100, only=set(names) or None):
            for one in checked.differences:
                kind, _, rest = one.what.partition(" ")
                is_row = kind in ("account", "entry", "hold") and rest.split(" ")[0].isdigit()
                subject, key = (f"ledger.{kind}", rest.split(" ")[0]) if is_row else ("", one.what)
                said = f"{one.what}: {_short(one.stands)}, not {_short(one.should_be)} ({checked.name})."
                yield Offender(subject, key, said)

    return check


def _short(amount: object) -> str:
    """An amount without the zeros the database keeps behind it; any other text as it is."""
    return re.sub(
        r"(?<=\.)(\d*?)0+$", r"\1", f"{amount:f}" if isinstance(amount, Decimal) else str(amount)
    ).rstrip(".")


def _recent_balances(at: datetime) -> Iterator[Offender]:
    with connection.cursor() as cursor:
        cursor.execute(_CHAIN, [RECENT])
        for account, posting, stands, should in cursor.fetchall():
            yield Offender(
                "ledger.account",
                str(account),
                f"Posting {posting} leaves {_short(stands)}, not {_short(should)}.",
            )


def _held_for_nothing(at: datetime) -> Iterator[Offender]:
    """Open holds whose subject is over, or of which nobody says what they are for; the oldest 10,000 are asked about."""
    rows = (
        Hold.objects.open()
        .order_by("id")
        .values_list("pk", "subject_type", "subject_id", "purpose", "placed_at")
    )
    wanted: dict[str, list[tuple[int, UUID | None, str, datetime]]] = {}
    for pk, kind, subject, purpose, placed_at in rows[:10_000]:
        wanted.setdefault(kind, []).append((pk, subject, purpose, placed_at))
    for kind, found in wanted.items():
        known = kind in live_subjects.names()
        live = live_subjects.get(kind)({subject for _, subject, _, _ in found if subject}) if known else set()
        dead = {pk for pk, subject, *_ in found if subject not in live}
        # What ended while it was asked about took its hold along.
        dead &= set(Hold.objects.open().filter(pk__in=dead).values_list("pk", flat=True))
        for pk, _, purpose, placed_at in found:
            if pk in dead:
                why = "is over" if known else "is nothing anybody knows of"
                said = f"The {purpose.replace('_', ' ')} is held, and what it is held for {why}."
                yield Offender("ledger.hold", str(pk), said, placed_at)


def _uncovered_clients(at: datetime) -> Iterator[Offender]:
    for sheet in client_money.report(totals.now(Book.REAL)):
        if sheet.difference + sheet.with_collectors < 0:
            collected = f", {_short(sheet.with_collectors)} with collectors" if sheet.with_collectors else ""
            there = f"{_short(sheet.at_banks)} is at banks{collected}"
            said = f"Clients are owed {_short(sheet.owed)} {sheet.currency}, and {there}."
            yield Offender("", f"{Book.REAL.value} {sheet.currency}", said)


def _old_suspense(at: datetime) -> Iterator[Offender]:
    with connection.cursor() as cursor:
        cursor.execute(_SUSPENSE, [at - timedelta(days=settings.CONFIG.suspense_days)])
        for account, posted, currency, since in cursor.fetchall():
            yield Offender(
                "ledger.account", str(account), f"{_short(posted)} {currency} waits to be assigned.", since
            )


def _stuck(at: datetime) -> Iterator[Offender]:
    kinds: list[type[Model]] = [model for model in apps.get_models() if hasattr(model, "PATIENCE")]
    for model in kinds:
        if not model.PATIENCE:  # type: ignore[attr-defined]
            continue
        late = model._default_manager.filter(patience.late(model, at)).order_by("pk")
        for row in late[:NAMED]:
            said = f"{str(model._meta.verbose_name).capitalize()}, {_state(row)}: waits for {_owner(row)}."
            yield Offender(model._meta.label_lower, str(row.pk), said, patience.since(row))


def _state(row: Model) -> str:
    shown: str = row.get_state_display()  # type: ignore[attr-defined]
    return shown.lower()


def _owner(row: Model) -> str:
    found = patience.of(row)
    return found.owner[0].lower() + found.owner[1:] if found else "nobody"


def _unsequenced(at: datetime) -> Iterator[Offender]:
    oldest = Event.objects.unsequenced().filter(recorded_at__lt=at - SEQUENCED_WITHIN).first()
    if oldest is not None:
        said = "Events wait for their position: the sequencer lags."
        yield Offender("backoffice.event", str(oldest.pk), said, oldest.recorded_at)


def _closed_days(at: datetime) -> Iterator[Offender]:
    for book in Book.values:
        for row in closing.broken(book):
            yield Offender("ledger.closing", str(row.pk), f"{row} is not as it was closed.", row.closed_at)
        last = closing.last_closed(book)
        if last is not None and totals.kept(totals.from_now(book, last.business_date)) != last.totals:
            yield Offender(
                "ledger.closing", str(last.pk), f"What stands at the end of {last} has changed since."
            )


def _assertions(at: datetime) -> Iterator[Offender]:
    rows = BalanceAssertion.objects.filter(state=BalanceAssertion.State.FAILS).order_by("changed_at")
    for row in rows[:100]:
        said = f"Asserted {_short(row.amount)}, the books say {_short(row.found)}."
        yield Offender("ledger.balanceassertion", str(row.pk), said, row.changed_at)


def _custodian_read(at: datetime) -> Iterator[Offender]:
    cursor = CustodianCursor.objects.filter(read_at__lt=at - READ_WITHIN).first()
    if cursor is not None and DepositAddress.objects.exists():
        yield Offender(
            "", "changes", "The custodian of coins was not read: coins may have come.", cursor.read_at
        )


def register() -> None:
    """Add them to the port; called once, at start-up."""
    own = {
        "books_balance": Invariant(
            "Debits equal credits in every book and currency.",
            of_verify("every book sums to zero in each currency"),
        ),
        "balances_follow": Invariant(
            f"Every balance follows from its postings (the newest {RECENT:,}).", _recent_balances
        ),
        "ledger_verifies": Invariant(
            "The whole ledger agrees with its postings (every night).", of_verify(), is_nightly=True
        ),
        "nothing_overdrawn": Invariant(
            "No guarded account is below zero or below its holds.",
            of_verify("no guarded account is below zero or below its holds"),
        ),
        "held_is_in_holds": Invariant(
            "What is held on an account is the sum of its open holds.",
            of_verify("what is held is the sum of the open holds"),
        ),
        "holds_have_a_reason": Invariant(
            "Every open hold is for something that is still going on.", _held_for_nothing
        ),
        "client_money_covered": Invariant(
            "What we owe clients in real money is at our banks or with collectors, in each currency.", _uncovered_clients
        ),
        "suspense_is_young": Invariant(
            "Nothing waits longer in suspense than SUSPENSE_DAYS allows.", _old_suspense
        ),
        "custodian_is_read": Invariant(
            "What the custodian of coins tells is read within minutes.", _custodian_read
        ),
        "assertions_hold": Invariant("Every asserted balance is there.", _assertions),
        "closed_days_stand": Invariant("Closed days are as they were when they were closed.", _closed_days),
        "nothing_stuck": Invariant("Nothing is older than its state allows.", _stuck),
        "events_sequenced": Invariant("Every event gets its position within minutes.", _unsequenced),
    }  # fmt: skip
    for number, (name, invariant) in enumerate(own.items()):
        invariants.register(name, invariant, order=10 * number)
