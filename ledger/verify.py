"""Recompute the ledger from its postings and say what differs. Nothing is repaired: a difference needs a person.

Each check is one statement, so it sees one moment and can run beside live traffic.
"""

import time
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Final

from django.db import connection, transaction

from backoffice.backups.verifications import Step

# What is checked, the table whose rows it reads, and a query of what differs: which row, what stands there, what should.
CHECKS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "every entry sums to zero in each currency",
        "ledger_posting",
        """SELECT format('entry %s %s', entry_id, currency_id),
                  sum(CASE side WHEN 'debit' THEN amount ELSE -amount END)::text, '0'
           FROM ledger_posting GROUP BY entry_id, currency_id
           HAVING sum(CASE side WHEN 'debit' THEN amount ELSE -amount END) <> 0""",
    ),
    (
        "every entry has at least two postings",
        "ledger_entry",
        """SELECT format('entry %s', e.id), count(p.id)::text, '2 or more'
           FROM ledger_entry e LEFT JOIN ledger_posting p ON p.entry_id = e.id GROUP BY e.id HAVING count(p.id) < 2""",
    ),
    (
        "every book sums to zero in each currency",
        "ledger_account",
        """SELECT format('book %s %s', book, currency_id),
                  sum(CASE WHEN kind IN ('asset', 'expense') THEN posted ELSE -posted END)::text, '0'
           FROM ledger_account GROUP BY book, currency_id
           HAVING sum(CASE WHEN kind IN ('asset', 'expense') THEN posted ELSE -posted END) <> 0""",
    ),
    (
        "every posting is in its account's book and currency",
        "ledger_posting",
        """SELECT format('posting %s', p.id), format('%s %s', e.book, p.currency_id),
                  format('%s %s', a.book, a.currency_id)
           FROM ledger_posting p LEFT JOIN ledger_entry e ON e.id = p.entry_id
           LEFT JOIN ledger_account a ON a.id = p.account_id
           WHERE (e.book, p.currency_id) IS DISTINCT FROM (a.book, a.currency_id) OR a.id IS NULL""",
    ),
    (
        "every amount has its currency's decimals",
        "ledger_posting",
        """SELECT format('posting %s', p.id), p.amount::text, format('%s decimals', c.exponent)
           FROM ledger_posting p JOIN backoffice_currency c ON c.code = p.currency_id
           WHERE p.amount <= 0 OR p.amount <> round(p.amount, c.exponent)""",
    ),
    (
        "every balance is the sum of its postings",
        "ledger_posting",
        """SELECT format('account %s', a.id), a.posted::text, coalesce(s.total, 0)::text
           FROM ledger_account a LEFT JOIN (
               SELECT p.account_id, sum(CASE WHEN (p.side = 'debit') = (b.kind IN ('asset', 'expense'))
                                             THEN p.amount ELSE -p.amount END) AS total
               FROM ledger_posting p JOIN ledger_account b ON b.id = p.account_id GROUP BY p.account_id
           ) s ON s.account_id = a.id
           WHERE a.posted <> coalesce(s.total, 0)""",
    ),
    (
        "every balance after a posting follows from the one before",
        "ledger_posting",
        """SELECT format('posting %s', id), balance_after::text, (before + change)::text FROM (
               SELECT p.id, p.balance_after,
                      coalesce(lag(p.balance_after) OVER (PARTITION BY p.account_id ORDER BY p.id), 0) AS before,
                      CASE WHEN (p.side = 'debit') = (a.kind IN ('asset', 'expense'))
                           THEN p.amount ELSE -p.amount END AS change
               FROM ledger_posting p JOIN ledger_account a ON a.id = p.account_id
           ) chain WHERE balance_after <> before + change""",
    ),
    (
        "what is held is the sum of the open holds",
        "ledger_hold",
        """SELECT format('account %s', a.id), a.held::text, coalesce(s.total, 0)::text
           FROM ledger_account a LEFT JOIN (
               SELECT account_id, sum(amount) AS total FROM ledger_hold WHERE state = 'held' GROUP BY account_id
           ) s ON s.account_id = a.id
           WHERE a.held <> coalesce(s.total, 0)""",
    ),
    (
        "no guarded account is below zero or below its holds",
        "ledger_account",
        """SELECT format('account %s', id), posted::text, format('%s or more', held)
           FROM ledger_account WHERE guarded AND (posted < held OR posted < 0)""",
    ),
    (
        "every captured hold has its entry on its account",
        "ledger_hold",
        """SELECT format('hold %s', h.id), h.captured_amount::text, 'a posting of its entry on its account'
           FROM ledger_hold h WHERE h.state = 'captured' AND NOT EXISTS (
               SELECT 1 FROM ledger_posting p
               WHERE p.entry_id = h.captured_by_id AND p.account_id = h.account_id AND p.amount >= h.captured_amount)""",
    ),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not as it should be."""

    what: str
    stands: str
    should_be: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of one check over the whole table."""

    name: str
    rows: int
    seconds: float
    found: int
    differences: tuple[Difference, ...]

    @property
    def rows_per_second(self) -> int:
        return round(self.rows / self.seconds) if self.seconds else 0


def verify(limit: int = 100, only: Container[str] | None = None) -> Iterator[Checked]:
    """Run every check, or those named, one after the other. Reads everything, changes and locks nothing.

    At most `limit` differences of a check are given; `found` counts all of them.
    """
    for name, table, query in CHECKS:
        if only is not None and name not in only:
            continue
        begun = time.perf_counter()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute(f"SELECT count(*) FROM {table}")
            rows = int(cursor.fetchone()[0])
            cursor.execute(
                f"SELECT *, count(*) OVER () FROM ({query.replace('%', '%%')}) d (what, stands, should_be) LIMIT %s",
                [limit],
            )
            found = cursor.fetchall()
        yield Checked(
            name=name,
            rows=rows,
            seconds=time.perf_counter() - begun,
            found=found[0][3] if found else 0,
            differences=tuple(Difference(*row[:3]) for row in found),
        )


def steps() -> Iterator[Step]:
    """The same as steps of a restore drill."""
    for check in verify(limit=3):
        wrong = tuple(f"{each.what}: {each.stands}, not {each.should_be}." for each in check.differences)
        if more := check.found - len(wrong):
            wrong += (f"And {more:,} more.",)
        yield Step(check.name, check.seconds, check.rows, wrong)
