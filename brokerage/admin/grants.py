"""Grants and the requests for them, to look at. No token, code or state is ever shown."""

from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from backoffice.admin import ports, show, timeline
from backoffice.admin.base import ReadOnlyAdmin, record_link, url_of
from backoffice.admin.filters import choice_filter
from backoffice.admin.ports import Entry
from backoffice.admin.record import Record, Tab
from brokerage.admin import shown
from brokerage.models import Grant, GrantRequest, TradingAccount

GRANT_TONES: Final = {
    Grant.State.ACTIVE: show.DONE,
    Grant.State.REFUSED: show.MINE,
    Grant.State.ENDED: show.WAITING,
}
REQUEST_TONES: Final = {
    GrantRequest.State.PENDING: show.MOVING,
    GrantRequest.State.COMPLETED: show.DONE,
    GrantRequest.State.FAILED: show.WRONG,
    GrantRequest.State.LAPSED: show.WAITING,
}
HIDDEN: Final = "••••"


def grant_badge(grant: Grant) -> SafeString:
    return show.badge(grant.get_state_display(), GRANT_TONES[Grant.State(grant.state)])


def request_badge(row: GrantRequest) -> SafeString:
    return show.badge(row.get_state_display(), REQUEST_TONES[GrantRequest.State(row.state)])


def grant_facts(grant: Grant | None) -> list[tuple[str, Any]]:
    """What an account's record says of its grant."""
    if grant is None:
        return [("Grant", "None; it has a token of its own, or was taken away")]
    return [
        ("Grant", record_link(grant)),
        ("State", grant_badge(grant)),
        ("It allows", grant.scopes),
        ("Access until", show.at(grant.expires_at) if grant.expires_at else "The client ends it"),
    ]


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin):
    list_display = ("name", "who", "kind", "state_shown", "allows_shown", "until", "why_shown")
    list_display_links = ("name",)
    list_select_related = ("client",)
    record_related = ("client",)
    ordering = ("-id",)
    list_filter = (
        choice_filter("state", "state", Grant.State.choices),
        choice_filter("kind", "kind", Grant.Kind.choices),
    )
    subject_type = "grant"
    list_intro = "What clients allow us at Deriv: one grant covers one user there, with all their accounts."
    empty_text = "No grant yet. One appears when a client links their accounts at Deriv."

    @admin.display(description="Grant")
    def name(self, grant: Grant) -> str:
        return str(grant)

    @admin.display(description="Client")
    def who(self, grant: Grant) -> SafeString:
        return record_link(grant.client)  # type: ignore[no-any-return]

    @admin.display(description="State")
    def state_shown(self, grant: Grant) -> SafeString:
        return grant_badge(grant)

    @admin.display(description="Allows")
    def allows_shown(self, grant: Grant) -> str:
        return grant.scopes

    @admin.display(description="Access until")
    def until(self, grant: Grant) -> SafeString:
        return show.when(grant.expires_at)

    @admin.display(description="Why, and what next")
    def why_shown(self, grant: Grant) -> SafeString:
        return show.cut(grant.why)

    def record(self, request: HttpRequest, row: Grant) -> Record:
        """State, scopes and times; of the tokens only whether there are any."""
        return Record(
            title=str(row),
            badge=grant_badge(row),
            why=row.why,
            facts=[
                ("Whose is it?", [("Client", record_link(row.client)), ("How", row.get_kind_display())]),
                ("What does it allow?", [
                    ("Scopes", row.scopes),
                    ("Access token", HIDDEN if row.access_token else "None"),
                    ("Refresh token", HIDDEN if row.refresh_token else "None"),
                    ("The venue said", row.problem_code or "Nothing against it"),
                ]),
                ("When?", [
                    ("The client last said yes", show.at(row.granted_at)),
                    ("Renewed", show.at(row.renewed_at)),
                    ("Access until", show.at(row.expires_at)),
                    ("Refused", show.at(row.refused_at)),
                    ("Ended", show.at(row.ended_at)),
                ]),
            ],
            timeline=timeline.of("grant", row.uuid),
            tabs=[Tab("Trading accounts", lambda: grant_accounts(row))]
            if request.user.has_perm("brokerage.view_tradingaccount")
            else [],
        )  # fmt: skip


def grant_accounts(grant: Grant) -> SafeString:
    """The accounts under a grant."""
    rows = list(TradingAccount.objects.filter(grant=grant).order_by("pk")[:50])
    return show.table(
        ["Account", "State", "Why, and what next"],
        [[record_link(row), shown.account_badge(row), row.why] for row in rows],
        empty="No account is under it any more.",
    )


@admin.register(GrantRequest)
class GrantRequestAdmin(ReadOnlyAdmin):
    list_display = ("name", "who", "state_shown", "asked", "problem_code", "why_shown")
    list_display_links = ("name",)
    list_select_related = ("client",)
    record_related = ("client", "user", "grant")
    ordering = ("-id",)
    list_filter = (choice_filter("state", "state", GrantRequest.State.choices),)
    subject_type = "grant_request"
    list_intro = "Clients on their way to Deriv's sign-in and back. What they bring back is good once."
    empty_text = "No request yet. One appears when a client begins to link their accounts."

    @admin.display(description="Request")
    def name(self, row: GrantRequest) -> str:
        return str(row)

    @admin.display(description="Client")
    def who(self, row: GrantRequest) -> SafeString:
        return record_link(row.client)  # type: ignore[no-any-return]

    @admin.display(description="State")
    def state_shown(self, row: GrantRequest) -> SafeString:
        return request_badge(row)

    @admin.display(description="Asked for")
    def asked(self, row: GrantRequest) -> SafeString:
        return show.when(row.requested_at)

    @admin.display(description="Why, and what next")
    def why_shown(self, row: GrantRequest) -> SafeString:
        return show.cut(row.why)

    def record(self, request: HttpRequest, row: GrantRequest) -> Record:
        """Who went where, and what became of it."""
        return Record(
            title=str(row),
            badge=request_badge(row),
            why=row.why,
            facts=[
                ("Whose is it?", [
                    ("Client", record_link(row.client)), ("Person", str(row.user)), ("Returns to", row.redirect_url),
                ]),
                ("What became of it?", [
                    ("Grant", record_link(row.grant) if row.grant else "None"),
                    ("Refused with", row.problem_code or "Nothing"),
                ]),
                ("When?", [
                    ("Asked for", show.at(row.requested_at)),
                    ("Came back", show.at(row.used_at)),
                    ("Ended", show.at(row.ended_at)),
                ]),
            ],
            timeline=timeline.of("grant_request", row.uuid),
        )  # fmt: skip


def _grants(ids: Any) -> Any:
    return {row.uuid: (str(row), url_of(row)) for row in Grant.objects.filter(uuid__in=ids)}


def _requests(ids: Any) -> Any:
    return {row.uuid: (str(row), url_of(row)) for row in GrantRequest.objects.filter(uuid__in=ids)}


ports.subjects.register("grant", _grants)
ports.subjects.register("grant_request", _requests)
ports.sidebar.register(
    "grants",
    Entry("Trading", "Grants", "admin:brokerage_grant_changelist", "key", "brokerage.view_grant"),
    order=21,
)
ports.sidebar.register(
    "grant_requests",
    Entry(
        "Trading",
        "Grant requests",
        "admin:brokerage_grantrequest_changelist",
        "link",
        "brokerage.view_grantrequest",
    ),
    order=22,
)
