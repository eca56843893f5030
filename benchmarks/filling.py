"""Many trades in a database, for measuring what only shows when there are many.

The clients and their accounts are opened through the verbs; their trades are written by one SQL script, as the verbs
would have left them. The books then verify, and the event log is sequenced as always.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.test import override_settings
from django.utils import timezone

from benchmarks.ground import say

SCRIPT = Path(__file__).with_suffix(".sql")
CLIENTS = 500
GAP = timedelta(seconds=2)
BALANCE = Decimal("100000.00")
NAMES = ("Amina", "Bruno", "Chen", "Dalia", "Emeka", "Farah", "Goran", "Hana", "Ivo", "Juma")


def fill(
    trades: int,
    *,
    told: int | None = None,
    clients: int = CLIENTS,
    until: datetime | None = None,
    room: int = 0,
) -> datetime:
    """Add so many settled demo trades of so many new clients; the last `told` of them (else all) with entries and events.

    One every two seconds, until now. Those that end `until` an earlier time are numbered below what is there, where the
    first filling left `room` for them, so that numbers follow time as they do in life. Afterwards the tables are analyzed.
    Returns when the first was.
    """
    began = (until or timezone.now()) - GAP * trades
    # Nobody logs in as them; hashing their passwords as usual would take longest of all.
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        _crowd(clients, began)
    say(f"{clients} clients")
    told = trades if told is None else told
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL session_replication_role = replica; SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '256MB'"
        )
        values: dict[str, Any] = {
            "many": trades,
            "told": told,
            "began": began,
            "gap": GAP,
            "room": -1 if until else room,
        }
        cursor.execute(SCRIPT.read_text(), values)
        for table in ("brokerage_trade", "ledger_hold", "ledger_entry", "ledger_posting", "backoffice_event"):
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
            )
        cursor.execute("DROP TABLE crowd, drawn, booked, firsts, lines")
    say(f"{trades:,} trades, {told:,} of them with entries and events")
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("RESET statement_timeout")
    return began


def sequence() -> int:
    """Give every event that waits its position and hash; how many there were."""
    from backoffice import sequencer

    done = 0
    while found := len(sequencer.sequence(5000).positions):
        done += found
        if done % 500_000 < 5000:
            say(f"{done:,} events sequenced")
    return done


def _crowd(clients: int, at: datetime) -> None:
    """Clients with a demo account each, opened then by the verbs, and one row in a temporary table for each account."""
    from backoffice.who import By
    from brokerage import accounts
    from brokerage.models import Instrument, TradingAccount
    from compliance.clients import open_client
    from ledger.accounts import house

    instruments = list(Instrument.objects.order_by("pk").values_list("pk", flat=True))
    by, stamp, rows = By.system("filling"), f"{timezone.now():%y%m%d%H%M%S}", []
    for number in range(clients):
        opening = open_client(email=f"filled-{stamp}-{number}@example.com", password="correct-horse-42", at=at,
                              first_name=NAMES[number % len(NAMES)], last_name=f"Filled{number:05d}")  # fmt: skip
        account = TradingAccount.objects.get(client=opening.client)
        account = accounts.confirm_opened(account, login_id=f"VRTC{stamp}{number:05d}", token=f"filled-{number}",
                                          balance=BALANCE, by=by, at=at)  # fmt: skip
        result = house(account.cash.book, "USD", "venue_result", "income", shard_key=str(account.uuid))
        rows.append((number, account.pk, opening.client.pk, opening.client.uuid, instruments[number % len(instruments)],
                     account.cash_id, account.stakes_id, result.pk))  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE crowd (place int, account_id bigint, client_id bigint, client_uuid uuid, "
            "instrument_id bigint, cash_id bigint, stakes_id bigint, result_id bigint)"
        )
        cursor.executemany("INSERT INTO crowd VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", rows)
