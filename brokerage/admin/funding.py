"""Fundings: money between wallets and accounts at the venue, and what keeps it waiting."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import dialog_action
from backoffice.admin.base import ReadOnlyAdmin, record_link, url_of
from backoffice.admin.filters import choice_filter
from backoffice.admin.ports import Entry, Unfinished
from backoffice.admin.record import Record, Tab
from backoffice.admin.unfinished import tally
from backoffice.who import By
from brokerage import funding
from brokerage.models import Funding
from ledger.admin.shown import entries_text
from ledger.models import Entry as JournalEntry

State = Funding.State
TONES = {
    State.CODE_WANTED: show.WAITING,
    State.QUEUED: show.MOVING,
    State.UNKNOWN: show.MINE,
    State.PENDING: show.MOVING,
    State.DONE: show.DONE,
    State.REFUSED: show.WRONG,
    State.LAPSED: show.WAITING,
}


@dialog_action(
    title="Ask the venue now",
    button="Ask now",
    description="The venue is asked what became of it, or sent it again under the same number. Nothing moves twice.",
    permission="brokerage.push_funding",
    check=funding.check_may_push,
    applies=lambda row: not row.is_final,
    icon="sync",
)
def ask_now(admin: Any, request: HttpRequest, row: Funding, form: Any) -> str:
    data = form.cleaned_data
    funding.request_push(
        row, by=By.user(request.user), at=timezone.now(), key=data["key"], reason=data["reason"],  # type: ignore[arg-type]
    )  # fmt: skip
    return "The venue is being asked. What it says appears here within seconds."


@admin.register(Funding)
class FundingAdmin(ReadOnlyAdmin):
    list_display = ("what", "who", "at_account", "state_shown", "value", "asked", "why_shown")
    list_display_links = ("what",)
    list_select_related = ("client", "account", "currency")
    record_related = ("client", "account", "currency", "hold", "wallet")
    ordering = ("-id",)
    list_filter = (
        choice_filter("state", "state", State.choices),
        choice_filter("direction", "direction", Funding.Direction.choices),
    )
    subject_type = "funding"
    actions_detail = ("ask_now",)
    ask_now = ask_now
    list_intro = (
        "Money between clients' wallets with us and their accounts at the venue, by the venue's payment agents' desk. "
        "An answer that was lost is found out by itself."
    )
    empty_text = "No funding yet. One appears when a client moves money to or from an account at the venue."

    @admin.display(description="Funding")
    def what(self, row: Funding) -> str:
        return row.get_direction_display()

    @admin.display(description="Client")
    def who(self, row: Funding) -> SafeString:
        return record_link(row.client)  # type: ignore[no-any-return]

    @admin.display(description="Account")
    def at_account(self, row: Funding) -> SafeString:
        return record_link(row.account)  # type: ignore[no-any-return]

    @admin.display(description="State")
    def state_shown(self, row: Funding) -> SafeString:
        return show.badge(row.get_state_display(), TONES[State(row.state)])

    @admin.display(description="Amount")
    def value(self, row: Funding) -> SafeString:
        return show.money(row.amount, row.currency_id, row.currency.exponent)

    @admin.display(description="Asked for")
    def asked(self, row: Funding) -> SafeString:
        return show.when(row.requested_at)

    @admin.display(description="Why, and what next")
    def why_shown(self, row: Funding) -> SafeString:
        return show.cut(row.why)

    def record(self, request: HttpRequest, row: Funding) -> Record:
        """Both ends of the money, and what the venue said. The client's code is never shown."""
        entries = JournalEntry.objects.filter(subject_type="funding", subject_id=row.uuid).order_by("-id")
        return Record(
            title=str(row),
            badge=self.state_shown(row),
            amount=self.value(row),
            why=row.why,
            facts=[
                ("Whose money?", [
                    ("Client", record_link(row.client)), ("Account", record_link(row.account)),
                    ("Held in the wallet", self.value(row) if row.hold_id and not row.is_final else ""),
                ]),
                ("What does the venue say?", [
                    ("Our number", row.request_id), ("Its transaction", str(row.venue_transaction_id or "")),
                    ("It said", row.problem_code), ("In words", row.problem),
                ]),
                ("When?", [
                    ("Asked for", show.at(row.requested_at)), ("First sent", show.at(row.sent_at)),
                    ("Last change", show.at(row.changed_at)), ("Code good until", show.at(row.code_until)),
                ]),
            ],
            timeline=timeline.of("funding", row.uuid),
            tabs=[Tab("Journal entries", lambda: entries_text(list(entries)))]
            if request.user.has_perm("ledger.view_entry")
            else [],
        )  # fmt: skip


def _fundings(ids: Any) -> Any:
    return {row.uuid: (str(row), url_of(row)) for row in Funding.objects.filter(uuid__in=ids)}


def _unknown(request: HttpRequest) -> int:
    return tally(request, Funding._meta.label_lower, State.UNKNOWN).many


ports.subjects.register("funding", _fundings)
ports.sidebar.register(
    "fundings",
    Entry("Trading", "Fundings", "admin:brokerage_funding_changelist", "swap_horiz", "brokerage.view_funding", _unknown),
    order=23,
)  # fmt: skip
ports.unfinished.register(
    Funding._meta.label_lower,
    Unfinished(Funding, "Fundings", "brokerage.view_funding", ("client", "currency")),
    order=21,
)
for _name, _words in {
    "funding.requested": "Asked for",
    "funding.confirmed": "Code given by the client",
    "funding.code_wrong": "The venue says that the code is wrong",
    "funding.taken": "Taken by the venue",
    "funding.unknown": "The venue's answer was lost",
    "funding.done": "The money has moved",
    "funding.refused": "Refused by the venue",
    "funding.lapsed": "No code came in time",
    "funding.push_requested": "Asked to be looked up at the venue",
}.items():
    ports.words.register(_name, _words)
