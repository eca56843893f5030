"""Holds: money set aside, and how each was resolved."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from backoffice.admin import ports, show
from backoffice.admin.base import ReadOnlyAdmin, record_link
from backoffice.admin.filters import choice_filter, period_filter
from backoffice.admin.record import Record
from ledger.admin import shown
from ledger.models import Hold

TONES = {
    Hold.State.HELD: show.MOVING, Hold.State.CAPTURED: show.DONE, Hold.State.RELEASED: show.WAITING,
    Hold.State.EXPIRED: show.WAITING, Hold.State.TRANSFERRED: show.WAITING,
}  # fmt: skip


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    list_display = ("placed", "purpose_shown", "about", "amount_shown", "state_shown", "resolved")
    list_display_links = ("purpose_shown",)
    list_select_related = ("account__currency",)
    record_related = ("account__currency", "captured_by", "transferred_to")
    ordering = ("-id",)
    list_filter = (
        choice_filter("state", "state", Hold.State.choices),
        period_filter("placed_at", "time placed"),
    )
    empty_text = "No hold here. A stake is held when a trade is placed, until it is bought or ended."

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        answer = super().changelist_view(request, extra_context)
        listing = getattr(answer, "context_data", {}).get("cl")
        if listing is not None:
            listing.result_list = rows = list(listing.result_list)
            named = ports.names((hold.subject_type, hold.subject_id) for hold in rows)
            for hold in rows:
                hold.subject_named = named.get(hold.subject_id)
        return answer

    @admin.display(description="Placed")
    def placed(self, hold: Hold) -> SafeString:
        return show.at(hold.placed_at)

    @admin.display(description="Purpose")
    def purpose_shown(self, hold: Hold) -> str:
        return hold.purpose.replace("_", " ").capitalize()

    @admin.display(description="About")
    def about(self, hold: Hold) -> SafeString:
        named = getattr(hold, "subject_named", None)
        return show.link(*named) if named else show.NOTHING

    @admin.display(description="Amount")
    def amount_shown(self, hold: Hold) -> SafeString:
        return show.money(hold.amount, hold.account.currency_id, hold.account.currency.exponent)

    @admin.display(description="State")
    def state_shown(self, hold: Hold) -> SafeString:
        return show.badge(hold.get_state_display(), TONES[Hold.State(hold.state)])

    @admin.display(description="Resolved")
    def resolved(self, hold: Hold) -> SafeString:
        return show.when(hold.resolved_at)

    def record(self, request: HttpRequest, row: Hold) -> Record:
        account = row.account
        named = ports.names([(row.subject_type, row.subject_id), (account.owner_type, account.owner_id)])
        about, digits = named.get(row.subject_id), account.currency.exponent  # type: ignore[arg-type]
        return Record(
            title=f"Hold: {self.purpose_shown(row).lower()}",
            badge=self.state_shown(row),
            amount=self.amount_shown(row),
            why=row.why,
            facts=[
                ("What for?", [
                    ("About", show.link(*about) if about else ""),
                    ("Account", shown.account_link(account, named)),
                ]),
                ("How did it end?", [
                    ("Captured", show.money(row.captured_amount, account.currency_id, digits) if row.captured_amount else ""),
                    ("By entry", record_link(row.captured_by) if row.captured_by_id else ""),
                    ("Went on as", record_link(row.transferred_to) if row.transferred_to_id else ""),
                    ("Resolved", show.at(row.resolved_at)),
                ]),
                ("When?", [("Placed", show.at(row.placed_at)), ("Expires", show.at(row.expires_at))]),
            ],
        )  # fmt: skip
