"""`make fill`: a database with so many postings, four fifths of demo trades in the mirror and one of wallets in the real book.

python -m benchmarks.postings 1000000

The trades come from `filling.py`; the wallets' entries are posted by the ledger's own verb, in batches. It fills the database
of this folder's settings (a demo's), or the one a benchmark runs on.
"""

import argparse
import os
import random
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from benchmarks.ground import say

# Postings that a trade leaves, on average: its stake, and its end, won or lost.
OF_A_TRADE: Final = 4.5
OF_AN_ENTRY: Final = 2
AT_ONCE: Final = 500
WALLETS: Final = 200


def fill_postings(postings: int) -> None:
    """Add so many postings, of new clients. Afterwards the tables are analyzed."""
    from django.db import connection
    from django.utils import timezone

    from benchmarks.filling import CLIENTS, GAP, fill

    trades = max(round(postings * 0.8 / OF_A_TRADE), 20)
    entries = max(round(postings * 0.2 / OF_AN_ENTRY), 20)
    _fill_wallets(entries, timezone.now() - GAP * trades, GAP * trades)
    fill(trades, clients=min(CLIENTS, trades // 20))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger_posting")
        say(f"{cursor.fetchone()[0]:,} postings")


def _fill_wallets(entries: int, began: datetime, lasting: timedelta) -> None:
    """Deposits into, and withdrawals from, new clients' wallets, spread over the time, each wallet funded first."""
    from backoffice.database import uuid7
    from backoffice.who import By
    from ledger import accounts, journal
    from ledger.models import Account, Book
    from ledger.wallets import wallet

    by, chance = By.system("filling"), random.Random(7)
    bank = accounts.house(Book.REAL, "USD", "bank", Account.Kind.ASSET)
    clients = _clients(min(WALLETS, entries // 5), began)
    wallets = [wallet(client, "USD", at=began) for client in clients]
    drafts: list[journal.Draft] = []
    for number in range(entries):
        client, ours = clients[number % len(clients)], wallets[number % len(wallets)]
        at = began + lasting * number / entries
        first, amount = number < len(wallets), Decimal(chance.randrange(100, 10_000)) / 100
        lines = [
            journal.debit(bank, amount * 1000 if first else amount),
            journal.credit(ours, amount * 1000 if first else amount),
        ]
        if not first and number % 3 == 0:
            lines = [journal.debit(ours, amount), journal.credit(bank, amount)]
        drafts.append(
            journal.Draft(
                kind="withdrawal" if not first and number % 3 == 0 else "deposit", lines=lines, at=at, key=f"filled:{uuid7()}",
                reference=f"F-{number}", narration="Filled", subject=("client", client), client_id=client,
            )
        )  # fmt: skip
        if len(drafts) == AT_ONCE or number == entries - 1:
            journal.post_many(drafts, by=by)
            drafts.clear()
    say(f"{entries:,} entries on {len(wallets)} wallets")


def _clients(many: int, at: datetime) -> list[UUID]:
    """Public ids of new clients, opened then by the verb."""
    from django.test import override_settings
    from django.utils import timezone

    from benchmarks.filling import NAMES
    from compliance.clients import open_client

    stamp, found = f"{timezone.now():%y%m%d%H%M%S}", []
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        for number in range(many):
            opening = open_client(email=f"wallet-{stamp}-{number}@example.com", password="correct-horse-42", at=at,
                                  first_name=NAMES[number % len(NAMES)], last_name=f"Walleted{number:05d}")  # fmt: skip
            found.append(opening.client.uuid)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.postings", description=__doc__)
    parser.add_argument("postings", type=int, nargs="?", default=1_000_000)
    given = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")
    from backoffice import embedded
    from backoffice.configuration import configuration

    config = configuration()
    if not config.demo:
        parser.error("only a demo is filled with made-up trades")
    if not (config.database_url and config.redis_url):
        embedded.ensure(config.data_dir, postgresql=not config.database_url, redis=not config.redis_url)
    import django

    django.setup()
    from django.core.management import call_command

    from tests import world

    call_command("migrate", verbosity=0)
    world.reference()
    fill_postings(given.postings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
