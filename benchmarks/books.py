"""The books with 1,000,000 postings (times the scale): pages, reports, a statement imported, withdrawals paid, invariants.

Four fifths of the postings are of demo trades, one is of wallets in the real book; every day but the last two is closed,
as a deployment would have it. Then money moves: a bank's camt.053 file of 10,000 lines is uploaded and imported, a third
of it deposits that it names, a third in suspense, a third money out; 200 clients ask for a withdrawal over the API; another
person agrees to 100 of them, these leave in one file, and its lines on the next statement say that they are paid. Pages are what
they take in the web process, from the request to the last byte, median of twenty through Django's test client; histories
are asked over GraphQL, two pages of each of 100 clients. Each must stay within 200 ms, a file of 10,000 lines within 15 s.

Beside each stands bare SQL in the same process. Of a page: one statement that reads the same rows; of a day's balances:
what they would cost without closes, all postings read. Of the import: COPY and INSERT … SELECT that look for duplicates,
match references, and write lines, entries, postings with balances, and events. Of withdrawals: every row that was written,
written again, in one transaction for each. These write into tables with the same columns, indexes and checks, empty at
first, without triggers, foreign keys and locks; they decide nothing. Invariants are each checked once; a quick one must
stay within a second. Two are broken here, as they should be: the filled events are not sequenced, and what was made up waits past its time.

Not said: the network, the browser, other people at work, workers beside (each verb is called in turn in one process), and
wallets with more than some thousand lines.
"""

from typing import Any

from benchmarks import Figure
from benchmarks.ground import Ground

POSTINGS = 1_000_000
HISTORIES, ROUNDS = 100, 20


def run(ground: Ground) -> list[Figure]:
    from benchmarks import books_money, books_pages
    from benchmarks.postings import fill_postings

    fill_postings(ground.count(POSTINGS))
    figures = [*books_pages.closed()]
    clients = _clients()
    figures += books_money.imported(ground, clients)
    figures += books_money.withdrawn(ground, clients)
    figures += books_pages.history(ground.count(HISTORIES))
    figures += books_pages.pages(ground.count(ROUNDS, least=1))
    return [*figures, *books_pages.invariants()]


def _clients() -> list[Any]:
    """Those with money in a wallet."""
    from compliance.models import Client
    from ledger.models import Account

    rows = Account.objects.filter(book="real", purpose="wallet", currency="USD", posted__gt=0)
    return list(Client.objects.filter(uuid__in=rows.values_list("client_id", flat=True)).order_by("id"))
