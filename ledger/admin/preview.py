"""What an act would post, shown before it is done: its journal lines with balances before and after.

    effect=lambda line: preview_of(lambda: suspense.assign(line, …))
    effect=lambda row: preview(drafts_of(row))

The act itself is done and undone again, so what is shown is what will happen, refusals included.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from django.contrib.postgres.functions import TransactionNow
from django.db import transaction
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.errors import DomainError
from backoffice.who import By
from ledger import journal
from ledger.admin import shown
from ledger.models import Entry

NOTHING_POSTED: Final = "Nothing is posted by this."
MOST: Final = 50  # entries; an act that makes more says its sums itself


def preview(drafts: Iterable[journal.Draft]) -> SafeString:
    """What posting these entries together would do, in the database as it stands now. Nothing stays."""
    return preview_of(lambda: journal.post_many(list(drafts), by=By.system("preview")))


def preview_of(act: Callable[[], Any]) -> SafeString:
    """The entries that a verb would post, or its refusal. It runs in a transaction that is rolled back.

    Only for verbs that keep to the database: whatever they wake or tell after their commit never happens. Locks what
    the verb locks until the lines are read.
    """
    with transaction.atomic():
        said = _shown(act)
        transaction.set_rollback(True)
    return said


def _shown(act: Callable[[], Any]) -> SafeString:
    before = Entry.objects.order_by("-id").values_list("id", flat=True).first() or 0
    try:
        with transaction.atomic():
            act()
    except DomainError as refusal:
        return format_html(
            '<p class="c-error" role="status">It would be refused: {} <code>{}</code></p>',
            refusal.message,
            refusal.code,
        )
    # Of this transaction: no other one has begun in the same microsecond and ended since.
    entries = list(Entry.objects.filter(id__gt=before, recorded_at=TransactionNow()).order_by("id")[:MOST])
    return (
        shown.entries_text(entries, is_preview=True) if entries else format_html("<p>{}</p>", NOTHING_POSTED)
    )
