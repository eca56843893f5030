"""The event log: who did what to what, sealed in a chain; and one click that checks the seal."""

import uuid
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice import sequencer
from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import DialogForm, dialog_action
from backoffice.admin.base import ReadOnlyAdmin
from backoffice.admin.filters import choice_filter, period_filter, queue_filter
from backoffice.admin.ports import Entry, Found
from backoffice.admin.record import Record
from backoffice.cache import redis_client
from backoffice.errors import DomainError
from backoffice.models import Event

LAST = "events:last-verified"
QUEUES = {"unsealed": lambda rows, at: rows.filter(position__isnull=True)}


class ChainBroken(DomainError):
    """An event is not what was sealed."""

    code = "CHAIN_BROKEN"


def verified(said: sequencer.Verified) -> str:
    """The outcome of a check as a sentence."""
    if said.first_break is not None:
        return (
            f"The chain breaks at position {said.first_break.position:,}: {said.first_break.reason}. "
            f"The {said.checked:,} events before it are as they were sealed. Keep the database as it is and find out."
        )
    waiting = f"; {said.waiting:,} newer ones wait to be sealed" if said.waiting else ""
    return (
        f"All {said.checked:,} sealed events are as they were sealed{waiting}. Head {said.head.hex()[:16]}."
    )


@dialog_action(
    DialogForm,
    title="Verify",
    button="Verify the whole log",
    description="Every event's hash is computed again, from the first to the last, and compared. Nothing is changed.",
    permission="backoffice.view_event",
    icon="verified",
)
def verify_log(admin: Any, request: HttpRequest, row: None, form: Any) -> str:
    said = sequencer.verify()
    redis_client().hset(
        LAST,
        mapping={
            "at": timezone.now().isoformat(), "said": verified(said), "good": int(said.first_break is None),
        },
    )  # fmt: skip
    if said.first_break is not None:
        raise ChainBroken(verified(said))
    return verified(said)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("happened", "what", "about", "detail", "who", "sealed")
    list_display_links = ("what",)
    list_select_related = ("by_user",)
    ordering = ("-id",)
    search_fields = ("name",)
    search_help_text = "Name, id or correlation id"
    list_filter = (
        queue_filter(QUEUES),
        choice_filter(
            "subject_type",
            "about",
            [
                (kind, kind.replace("_", " ").capitalize())
                for kind in ("trade", "trading_account", "client", "user", "entry", "hold")
            ],
        ),
        period_filter("at", "time"),
    )
    actions_list = ("verify_log",)
    verify_log = verify_log
    empty_text = "No event here. Every request, decision and posting writes one."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        return super().get_queryset(request).defer("hash")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            public_id = uuid.UUID(term)
        except ValueError:
            return queryset.filter(Q(name=term) | Q(correlation_id=term)), False
        return queryset.filter(Q(subject_id=public_id) | Q(client_id=public_id)), False

    def tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        url, chosen = reverse(self._name("changelist")), request.GET.get("queue", "")
        return [
            {"title": "All", "link": url, "active": not chosen},
            {"title": "Not sealed yet", "link": f"{url}?queue=unsealed", "active": chosen == "unsealed"},
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        # The subjects' names, asked for together once the page's rows are known.
        answer = super().changelist_view(request, extra_context)
        listing = getattr(answer, "context_data", {}).get("cl")
        if listing is not None:
            rows = list(listing.result_list)
            # Trades by what they are, everything else by whose it is: two questions, whatever the page holds.
            named = ports.names(
                ("trade", event.subject_id) if event.subject_type == "trade" else ("client", event.client_id)
                for event in rows
            )
            for event in rows:
                event.subject_named = named.get(event.subject_id) or named.get(event.client_id)
            listing.result_list = rows
        return answer

    @admin.display(description="When")
    def happened(self, event: Event) -> SafeString:
        return show.at(event.at)

    @admin.display(description="What")
    def what(self, event: Event) -> str:
        return timeline.what(event)

    @admin.display(description="About")
    def about(self, event: Event) -> SafeString:
        return about(event, getattr(event, "subject_named", None))

    @admin.display(description="Detail")
    def detail(self, event: Event) -> SafeString:
        text = timeline.detail(event.payload)
        return show.cut(text)

    @admin.display(description="By")
    def who(self, event: Event) -> str:
        return timeline.who(event)

    @admin.display(description="Position")
    def sealed(self, event: Event) -> SafeString:
        return show.number(event.position) if event.position else show.badge("Not sealed yet", show.MOVING)

    def record(self, request: HttpRequest, row: Event) -> Record:
        named = ports.names([(row.subject_type, row.subject_id), ("client", row.client_id)])
        client = named.get(row.client_id) if row.client_id else None
        return Record(
            title=timeline.what(row),
            badge=show.badge("Sealed", show.DONE) if row.position else show.badge("Not sealed yet", show.MOVING),
            why="Sealed into the chain at its position; any later change to it would show."
            if row.position else "Recorded; the sequencer seals it within a second.",
            facts=[
                ("What happened?", [
                    ("Name", row.name),
                    ("About", about(row, named.get(row.subject_id))),
                    ("Client", show.link(*client) if client else ""),
                    *timeline.values(row.payload),
                ]),
                ("Who and when?", [
                    ("By", timeline.who(row)),
                    ("At", show.at(row.at)),
                    ("Recorded", show.at(row.recorded_at)),
                    ("Correlation id", format_html('<span class="c-code">{}</span>', row.correlation_id) if row.correlation_id else ""),
                ]),
                ("How is it sealed?", [
                    ("Position", show.number(row.position)),
                    ("Hash", format_html('<span class="c-code">{}</span>', bytes(row.hash).hex()) if row.hash else ""),
                ]),
            ],
        )  # fmt: skip


def about(event: Event, named: tuple[str, str] | None) -> SafeString:
    """What the event is about, by name where it has one."""
    kind = event.subject_type.replace("_", " ").capitalize()
    if named is None:
        return format_html("{}", kind)
    return format_html('<span class="c-quiet">{}</span> {}', kind, show.link(*named))


def _search(request: HttpRequest, term: str, limit: int) -> list[Found]:
    if not request.user.has_perm("backoffice.view_event") or len(term) < 8:
        return []
    url = reverse("admin:backoffice_event_changelist")
    try:
        uuid.UUID(term)
    except ValueError:
        return []
    return [Found("Events about this id", "Event log", f"{url}?q={term}", "history")]


ports.sidebar.register(
    "events", Entry("Operations", "Event log", "admin:backoffice_event_changelist", "history", "backoffice.view_event"),
    order=40,
)  # fmt: skip
ports.search.register("events", _search, order=90)
