"""The approvals inbox: whatever waits for somebody's vote, of every kind that is registered, and each one's record."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import ports, show, timeline
from backoffice.admin.base import ReadOnlyAdmin, record_link, url_of
from backoffice.admin.filters import Queues, choice_filter, period_filter, queue_filter
from backoffice.admin.ports import Card, Entry, Unfinished, Waiting
from backoffice.admin.record import Record
from backoffice.patience import is_late
from backoffice.who import called
from compliance import approval_kinds
from compliance.admin import approval_actions
from compliance.admin.approval_rows import agreed, chips, dress, gist, kind_label, money, next_step
from compliance.approval_votes import decidable
from compliance.models import Approval

LIST = "admin:compliance_approval_changelist"
VIEW = "compliance.view_approval"
SOON = timedelta(hours=12)  # before it ends by itself, an approval says so in the list
TITLES = {
    "mine": "Mine",
    "unassigned": "Unassigned",
    "overdue": "Overdue",
    "failed": "Could not be done",
    "": "All",
}
S = Approval.State
TONES = {
    S.OPEN: show.MINE, S.APPROVED: show.MOVING, S.APPLIED: show.DONE, S.REJECTED: show.WRONG, S.FAILED: show.WRONG,
    S.VOIDED: show.WAITING, S.EXPIRED: show.WAITING,
}  # fmt: skip


def queues(request: HttpRequest) -> Queues:
    """Mine: what I have in hand. Unassigned: what waits for me and is in nobody's hands. Overdue: past its patience. Failed:
    agreed to, and refused when it was to be done."""
    user: Any = request.user

    def mine(rows: Any, at: datetime) -> QuerySet[Approval]:
        return rows.taken_by(user, at)  # type: ignore[no-any-return]

    def unassigned(rows: Any, at: datetime) -> QuerySet[Approval]:
        return rows.free(at).filter(pk__in=decidable(user).values("pk"))  # type: ignore[no-any-return]

    def overdue(rows: Any, at: datetime) -> QuerySet[Approval]:
        return rows.stuck(at)  # type: ignore[no-any-return]

    def failed(rows: Any, at: datetime) -> QuerySet[Approval]:
        return rows.failed()  # type: ignore[no-any-return]

    return {"mine": mine, "unassigned": unassigned, "overdue": overdue, "failed": failed}


class Inbox(ChangeList):
    """A page of the list, with what its rows show of votes and subjects asked for all of them at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        dress(self.result_list)


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    list_display = (
        "age",
        "who",
        "what",
        "amount_shown",
        "chips_shown",
        "state_and_next",
    )
    list_display_links = ("what",)
    list_select_related = ("client", "currency", "taken_by", "role")
    record_related = ("client", "currency", "taken_by", "role", "policy")
    ordering = ("-id",)
    search_fields = ("title",)
    search_help_text = "Client, or the public id of an approval or of what it is about"
    actions_list = ("take_next_one", "approve_several")
    actions_detail = ("approve_this", "reject_this", "try_this_again", "take_this", "let_this_go")
    subject_type = "approval"
    list_intro = (
        "What somebody asked for and others must agree to, whatever it is. Who asks never decides; everybody votes once, on "
        "exactly what is shown. A thing in somebody's hands is theirs for 15 minutes."
    )
    empty_text = "Nothing waits here. What needs a second pair of eyes appears by itself, oldest first."
    take_next_one, approve_several = approval_actions.taking.take_next, approval_actions.approve_several
    try_this_again = approval_actions.try_this_again
    approve_this, reject_this = approval_actions.approve_this, approval_actions.reject_this
    take_this, let_this_go = approval_actions.taking.take, approval_actions.taking.let_go

    def get_list_filter(self, request: HttpRequest) -> Any:
        return (
            queue_filter(queues),
            choice_filter("kind", "kind", approval_kinds.choices()),
            choice_filter("state", "state", Approval.State.choices),
            period_filter("requested_at", "time asked"),
        )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Inbox

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("id",) if request.GET.get("queue") else ("-id",)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        return (approval_actions.found(queryset, term) if term else queryset), False

    def tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        chosen, url, now = request.GET.get("queue", ""), reverse(LIST), timezone.now()
        rows = ports.visible(request.user, Approval.objects.filter(state__in=Approval.WAITING))
        counts = rows.aggregate(
            **{name: Count("pk", filter=Q(pk__in=queue(Approval.objects.all(), now).values("pk")))
               for name, queue in queues(request).items()}
        )  # fmt: skip
        return [
            {"title": title, "link": f"{url}?queue={name}" if name else url, "active": chosen == name,
             "count": counts.get(name, 0)}
            for name, title in TITLES.items()
        ]  # fmt: skip

    @admin.display(description="Age")
    def age(self, row: Approval) -> SafeString:
        return show.when(row.requested_at, tone=show.WRONG if is_late(row, timezone.now()) else "")

    @admin.display(description="Client")
    def who(self, row: Approval) -> SafeString:
        return record_link(row.client)  # type: ignore[no-any-return]

    @admin.display(description="What")
    def what(self, row: Approval) -> SafeString:
        return format_html('<span class="c-what-cell" title="{}">{}</span>', row.title, gist(row))

    @admin.display(description="Amount")
    def amount_shown(self, row: Approval) -> SafeString:
        return money(row)

    @admin.display(description="To know")
    def chips_shown(self, row: Approval) -> SafeString:
        return chips(row)

    @admin.display(description="State")
    def state_and_next(self, row: Approval) -> SafeString:
        """Of what waits for votes how many it has, and in whose hands it is or that its time is short; of the rest what
        became of it.
        """
        now = timezone.now()
        shown, more = self.state_shown(row), ""
        if row.state == S.OPEN and row.needed:
            shown = show.badge(f"{agreed(row)} agreed", TONES[S.OPEN])
            if row.is_taken(now):
                more = f"with {row.taken_by}"
            elif row.expires_at - now < SOON:
                more = f"ends {show.ago(row.expires_at, now)}" if row.expires_at > now else "time is over"
        return format_html(
            '<span title="{}">{} <span class="c-quiet">{}</span></span>', next_step(row, now), shown, more
        )

    def state_shown(self, row: Approval) -> SafeString:
        return show.badge(row.get_state_display(), TONES[Approval.State(row.state)])

    def record(self, request: HttpRequest, row: Approval) -> Record:
        """What is asked for and what it does, what to know of it, who said what, and how it went."""
        dress([row])
        kind, subject = approval_kinds.find(row.kind), row.subject_shown  # type: ignore[attr-defined]
        url = kind.url(subject) if kind is not None and subject is not None else ""
        return Record(
            title=row.title,
            badge=self.state_shown(row),
            amount=money(row) if row.amount is not None else "",
            why=next_step(row, timezone.now()),
            facts=[
                ("What is asked for?", [
                    ("Kind", kind_label(row)), ("About", show.link(row.title, url) if url else ""),
                    ("Client", record_link(row.client) if row.client is not None else ""),
                    ("Asked for by", called(row.requested_by)), ("Asked for", show.at(row.requested_at)),
                    ("Decided", show.at(row.decided_at)), ("Ends by itself", show.at(row.expires_at) if row.state in Approval.WAITING else ""),
                ]),
                ("What should you know?", [("Of it", chips(row))]),
                ("Who decides?", [
                    ("Approvals", agreed(row)),
                    ("Role", str(row.role) if row.role is not None else "Whoever may decide this kind"),
                    ("Policy", record_link(row.policy) if row.policy is not None else "None applies: one person"),
                    ("In hand with", str(row.taken_by) if row.is_taken(timezone.now()) else ""),
                    ("Until", show.at(row.taken_until) if row.is_taken(timezone.now()) else ""),
                ]),
                ("Who said what?", _votes(row)),
            ],
            timeline=timeline.of("approval", row.uuid),
            above=approval_actions.preview_card(row),
        )  # fmt: skip


def _votes(row: Approval) -> list[tuple[str, Any]]:
    return [
        (vote.get_verdict_display(), show.two(str(vote.by_user), format_html("{} {}", show.at(vote.at), vote.reason)))
        for vote in row.votes.select_related("by_user").order_by("id")
    ]  # fmt: skip


def _mine(request: HttpRequest) -> list[datetime]:
    """Since when each thing waits that this reader may decide; asked once for a page."""
    kept: dict[str, Any] = request.__dict__
    if "_approvals_waiting" not in kept:
        user: Any = request.user
        rows = decidable(user).order_by("id") if user.has_perm(VIEW) else Approval.objects.none()
        kept["_approvals_waiting"] = list(rows.values_list("requested_at", flat=True)[:1000])
    return kept["_approvals_waiting"]  # type: ignore[no-any-return]


def _waiting(request: HttpRequest) -> Any:
    since = _mine(request)
    limit = timezone.now() - Approval.PATIENCE[S.OPEN].length
    yield Waiting(
        "Approvals", f"{reverse(LIST)}?queue=unassigned", len(since), since[0] if since else None,
        bool(since and since[0] < limit), "Asked for by others, for you to decide",
    )  # fmt: skip


def _approvals(ids: Any) -> Any:
    return {row.uuid: (row.title, url_of(row)) for row in Approval.objects.filter(uuid__in=ids)}


ports.unfinished.register(
    Approval._meta.label_lower,
    Unfinished(Approval, "Approvals", VIEW, ("client", "currency", "role")),
    order=5,
)
ports.waiting.register("approvals", Card(VIEW, _waiting), order=3)
ports.sidebar.register(
    "approvals",
    Entry("My work", "Approvals", LIST, "task_alt", VIEW, lambda request: len(_mine(request))),
    order=5,
)
ports.subjects.register("approval", _approvals)
# What the words of an event say already, and which row a policy is.
for _part in ("verdict", "policy"):
    ports.phrases.register(_part, lambda value: "")
ports.phrases.register(
    "needed",
    lambda value: "1 must agree" if value == 1 else f"{value} must agree" if value else "nobody need agree",
)
for _name, _words in {
    "approval.requested": "Asked for",
    "approval.voted": lambda payload: "Agreed to" if payload["verdict"] == "approve" else "Said no to",
    "approval.applied": "Done",
    "approval.rejected": "Rejected",
    "approval.voided": "Voided",
    "approval.expired": "Nobody decided in time",
    "approval.failed": "Agreed to, and refused when it was to be done",
    "approval.tried_again": "Tried again",
    "approval.taken": "Taken in hand",
    "approval.let_go": "Let go",
}.items():
    ports.words.register(_name, _words)  # type: ignore[arg-type]
