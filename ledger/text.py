"""Journal entries as accounting text, for the console and for tests: debits left, credits right, aligned."""

from collections.abc import Callable, Iterable

from ledger.models import Account, Entry, Posting


def entry_text(entry: Entry, *, name: Callable[[Account], str] = str) -> str:
    """One entry: a heading with its time, kind and reference, and a line for each posting.

    `name` says how an account is called. Amounts show their currency's decimals.
    """
    return entries_text([entry], name=name)


def entries_text(entries: Iterable[Entry], *, name: Callable[[Account], str] = str) -> str:
    """Several entries in the order given, their columns aligned with each other, a blank line between two."""
    blocks = [(_heading(entry), [_row(posting, name) for posting in _postings(entry)]) for entry in entries]
    rows = [row for _, block in blocks for row in block]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    texts = []
    for heading, block in blocks:
        lines = [
            f"    {account:<{widths[0]}}  {debit:>{widths[1]}}  {credit:>{widths[2]}}".rstrip()
            for account, debit, credit in block
        ]
        texts.append("\n".join([heading, *lines]))
    return "\n\n".join(texts)


def _heading(entry: Entry) -> str:
    said = [f"{entry.effective_at:%Y-%m-%d %H:%M:%S}", entry.kind, entry.reference, entry.narration]
    return "  ".join(word for word in said if word)


def _postings(entry: Entry) -> list[Posting]:
    return list(entry.postings.select_related("account__currency").order_by("line"))


def _row(posting: Posting, name: Callable[[Account], str]) -> tuple[str, str, str]:
    amount = f"{posting.amount:,.{posting.account.currency.exponent}f}"
    return (
        (name(posting.account), amount, "")
        if posting.side == "debit"
        else (name(posting.account), "", amount)
    )
