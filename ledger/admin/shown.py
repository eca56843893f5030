"""Journal entries as accounting text for pages: debits left, credits right, each balance after, accounts linked."""

import uuid
from collections.abc import Callable, Iterable

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from backoffice.admin import ports, show
from backoffice.admin.base import url_of
from ledger.models import Account, Entry, Posting

Names = dict[uuid.UUID, tuple[str, str]]


def named(model: type[Model], *related: str) -> Callable[[set[uuid.UUID]], Names]:
    """What the rows of a model with these public ids are called and where they are: for `ports.subjects`. One question."""

    def found(ids: set[uuid.UUID]) -> Names:
        rows = model._default_manager.filter(uuid__in=ids).select_related(*related)
        return {row.uuid: (str(row), url_of(row)) for row in rows}  # type: ignore[attr-defined]

    return found


def owners(accounts: Iterable[Account], known: Names | None = None) -> Names:
    """What the owners of these accounts are called; those known already are not asked for."""
    named = dict(known or {})
    pairs = {(account.owner_type, account.owner_id) for account in accounts if account.owner_id not in named}
    return named | ports.names(pairs)


def account_name(account: Account, named: Names) -> str:
    """“CR900001 · open stakes USD”; the house's own by what they are for."""
    if account.is_house:
        return f"House · {str(account).removeprefix('house ')}"
    owner = named[account.owner_id][0] if account.owner_id in named else account.owner_type.replace("_", " ")
    return f"{owner} · {account.purpose.replace('_', ' ')} {account.currency_id}"


def account_link(account: Account, named: Names) -> SafeString:
    return show.link(account_name(account, named), reverse("admin:ledger_account_change", args=[account.pk]))


def record_of(subject: str, key: str, words: str) -> SafeString:
    """A link to a record by its kind (`ledger.payment`) and key; just the words where it has no page."""
    try:
        return show.link(words, reverse(f"admin:{subject.replace('.', '_')}_change", args=[key]))
    except NoReverseMatch:
        return format_html("{}", words)


def explained(account: Account, figure: SafeString) -> SafeString:
    """A figure of an account that leads to the entries it comes from."""
    url = f"{reverse('admin:ledger_explain')}?account={account.pk}"
    return format_html('<a class="c-link" href="{}" title="Explain this balance">{}</a>', url, figure)


def entries_text(entries: list[Entry], known: Names | None = None, *, is_preview: bool = False) -> SafeString:
    """Entries in the order given, each with its postings. Two queries, however many there are.

    `known` are owners whose names the caller has at hand already. In a preview (of entries that are not there to be
    opened) balances stand before and after.
    """
    if not entries:
        return format_html(
            '<p class="c-empty">{}</p>', "Nothing is posted yet. Entries appear here with their lines."
        )
    postings: dict[int, list[Posting]] = {entry.pk: [] for entry in entries}
    for posting in (
        Posting.objects.filter(entry__in=postings)
        .select_related("account__currency")
        .order_by("entry_id", "line")
    ):
        postings[posting.entry_id].append(posting)
    named = owners((posting.account for rows in postings.values() for posting in rows), known)
    blocks = format_html_join(
        "", "{}", ((_block(entry, postings[entry.pk], named, is_preview),) for entry in entries)
    )
    heads = ["Debit", "Credit", *(["Balance before"] if is_preview else []), "Balance after"]
    return format_html(
        '<table class="c-books"><thead><tr><th scope="col">Account</th>{}</tr></thead>{}</table>',
        format_html_join("", '<th scope="col" class="c-right">{}</th>', ((head,) for head in heads)),
        blocks,
    )


def _block(entry: Entry, postings: list[Posting], named: Names, is_preview: bool) -> SafeString:
    url = "" if is_preview else reverse("admin:ledger_entry_change", args=[entry.pk])
    head = format_html(
        '<tr class="c-entry"><th colspan="5" scope="rowgroup">{} {} <span>{}</span></th></tr>',
        show.at(entry.effective_at),
        show.link(kind_name(entry.kind), url),
        " · ".join(word for word in (entry.narration, entry.reference) if word),
    )
    lines = format_html_join("", "{}", ((_line(row, named, is_preview),) for row in postings))
    return format_html("<tbody>{}{}</tbody>", head, lines)


def _line(posting: Posting, named: Names, is_preview: bool) -> SafeString:
    account = posting.account
    code, digits, is_debit = account.currency_id, account.currency.exponent, posting.side == "debit"
    amount = show.money(posting.amount, code, digits)
    balances = [posting.balance_after]
    if is_preview:
        change = posting.amount if posting.side == account.normal_side else -posting.amount
        balances.insert(0, posting.balance_after - change)
    return format_html(
        '<tr><td class="c-{}">{}</td><td class="c-right">{}</td><td class="c-right">{}</td>{}</tr>',
        posting.side, account_link(account, named), amount if is_debit else "", "" if is_debit else amount,
        format_html_join("", '<td class="c-right c-quiet">{}</td>', ((show.money(one, code, digits),) for one in balances)),
    )  # fmt: skip


def kind_name(kind: str) -> str:
    """`contract_won` → “Contract won”."""
    return kind.replace("_", " ").capitalize()
