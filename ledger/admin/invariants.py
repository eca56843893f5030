"""Invariants: what must hold in the books, when each was last checked, and what breaks it since when."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import Min, OuterRef, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import DialogForm, dialog_action
from backoffice.admin.base import ReadOnlyAdmin
from backoffice.admin.ports import Card, Entry, Trouble
from backoffice.admin.record import Record, Tab
from backoffice.wake import wake
from backoffice.who import By
from ledger.admin import shown
from ledger.control import invariants
from ledger.models import Account, InvariantOffender, InvariantRun

LIST = "admin:ledger_invariantrun_changelist"
PERMISSION = "ledger.run_invariants"


@dialog_action(
    DialogForm,
    title="Check now",
    button="Check them now",
    description="Every invariant that is quick is checked; those that read everything run at night, or from their own page.",
    permission=PERMISSION,
    icon="play_arrow",
)
def check_all_now(admin: Any, request: HttpRequest, row: Any, form: Any) -> str:
    rows = invariants.run_all(nightly=False, by=By.user(request.user), at=timezone.now())  # type: ignore[arg-type]
    broken = [run for run in rows if run.found]
    return f"{len(rows)} were checked; {len(broken) or 'none'} of them {'is' if len(broken) == 1 else 'are'} broken."


@dialog_action(
    DialogForm,
    title="Check this now",
    button="Check it now",
    description="One that reads the whole ledger is checked by a worker, which takes a while.",
    permission=PERMISSION,
    icon="play_arrow",
    leads_to=lambda row: reverse(LIST),
)
def check_now(admin: Any, request: HttpRequest, row: InvariantRun, form: Any) -> str:
    name = row.invariant
    if name in invariants.invariants.names() and not invariants.invariants.get(name).is_nightly:
        made = invariants.run(name, by=By.user(request.user), at=timezone.now())  # type: ignore[arg-type]
        return f"Checked: {made.found or 'nothing'} breaks it."
    wake("ledger.verify_invariants")
    return "A worker checks it. What it finds stands here in a while."


@admin.register(InvariantRun)
class InvariantRunAdmin(ReadOnlyAdmin):
    list_display = ("says", "state_shown", "offenders", "oldest", "last_run", "took")
    list_display_links = ("says",)
    ordering = ("-found", "invariant")
    actions_list = ("check_all_now",)
    actions_detail = ("check_now",)
    check_all_now, check_now = check_all_now, check_now
    subject_type = "invariant_run"
    list_intro = "What must hold in the books. Each is checked every quarter of an hour, those that read everything every night."
    empty_text = "None was checked yet. They are checked by the clock; or check them now."

    def get_queryset(self, request: HttpRequest) -> Any:
        """The last run of each."""
        seen = InvariantOffender.objects.filter(invariant=OuterRef("invariant"), gone_at=None)
        oldest = seen.values("invariant").annotate(oldest=Min("since")).values("oldest")
        rows = super().get_queryset(request).filter(pk__in=invariants.latest().values("pk"))
        return rows.annotate(oldest_since=Subquery(oldest))

    @admin.display(description="Invariant")
    def says(self, row: InvariantRun) -> str:
        return invariants.sentence(row.invariant)

    @admin.display(description="State")
    def state_shown(self, row: InvariantRun) -> SafeString:
        return show.badge("Broken", show.WRONG) if row.found else show.badge("Holds", show.DONE)

    @admin.display(description="Broken by")
    def offenders(self, row: InvariantRun) -> SafeString:
        return show.number(row.found) if row.found else show.NOTHING

    @admin.display(description="Since")
    def oldest(self, row: Any) -> SafeString:
        return show.when(row.oldest_since, tone=show.WRONG)

    @admin.display(description="Last checked")
    def last_run(self, row: InvariantRun) -> SafeString:
        return show.when(row.at)

    @admin.display(description="Took")
    def took(self, row: InvariantRun) -> str:
        return f"{row.took_ms:,} ms"

    def record(self, request: HttpRequest, row: Any) -> Record:
        return Record(
            title=self.says(row),
            badge=self.state_shown(row),
            why="Nothing breaks it." if not row.found else f"{row.found:,} break{'s' if row.found == 1 else ''} it; the oldest are listed below.",
            facts=[("When was it checked?", [
                ("Last", show.at(row.at)), ("It took", self.took(row)), ("By", timeline.person(row.by)),
            ])],
            above=SafeString(f'<section class="c-card">{_offenders(row.invariant)}</section>'),
            tabs=[Tab("What broke it before", lambda: _gone(row.invariant)), Tab("Runs before", lambda: _runs(row.invariant))],
        )  # fmt: skip


def _offenders(name: str) -> SafeString:
    rows = list(invariants.standing(name)[: invariants.AT_MOST])
    named = _names(rows)
    return show.table(
        ["Since", "What", "What is wrong", "Last seen"],
        [[show.when(row.since, tone=show.WRONG), named[row.pk], row.says, show.when(row.seen_at)] for row in rows],
        empty="Nothing breaks it. Whatever does will be listed here, with its age and a link.",
    )  # fmt: skip


def _gone(name: str) -> SafeString:
    rows = list(
        InvariantOffender.objects.filter(invariant=name, gone_at__isnull=False).order_by("-gone_at")[:50]
    )
    named = _names(rows)
    return show.table(
        ["Since", "Until", "What", "What was wrong"],
        [[show.at(row.since), show.at(row.gone_at), named[row.pk], row.says] for row in rows],
        empty="Nothing ever broke it.",
    )


def _runs(name: str) -> SafeString:
    rows = InvariantRun.objects.filter(invariant=name).order_by("-id")[:50]
    return show.table(
        ["Checked", "Found", "Took", "By"],
        [
            [show.at(row.at), show.number(row.found), f"{row.took_ms:,} ms", timeline.person(row.by)]
            for row in rows
        ],
        right=(1, 2),
    )


def _names(rows: list[InvariantOffender]) -> dict[int, Any]:
    """What each is called, linked to its page; accounts by whose they are, other records by their kind."""
    accounts = {
        str(account.pk): account
        for account in Account.objects.filter(
            pk__in=[row.subject_pk for row in rows if row.subject == "ledger.account"]
        )
    }
    owners = shown.owners(accounts.values()) if accounts else {}
    found: dict[int, Any] = {}
    for row in rows:
        account = accounts.get(row.subject_pk) if row.subject == "ledger.account" else None
        if account is not None:
            found[row.pk] = shown.account_link(account, owners)
        elif row.subject:
            kind = str(apps.get_model(row.subject)._meta.verbose_name).capitalize()
            found[row.pk] = shown.record_of(row.subject, row.subject_pk, kind)
        else:
            found[row.pk] = row.subject_pk.capitalize()
    return found


def _trouble(request: HttpRequest) -> Any:
    rows = list(invariants.latest().order_by("-found", "-at"))
    broken = [invariants.sentence(row.invariant).rstrip(".") for row in rows if row.found]
    if broken:
        said = f"Not so: {'; '.join(broken[:2])}{' and more' if len(broken) > 2 else ''}."
        yield Trouble("Invariants", said, reverse(LIST), True)
    elif rows:
        yield Trouble("Invariants", f"All {len(rows)} hold, by the last checks.", reverse(LIST))
    else:
        yield Trouble("Invariants", "None was checked yet.", reverse(LIST))


ports.troubles.register("invariants", Card("ledger.view_invariantrun", _trouble), order=30)
ports.sidebar.register(
    "invariants", Entry("Books", "Invariants", LIST, "verified", "ledger.view_invariantrun"), order=70
)
ports.subjects.register(
    "invariant_run",
    lambda ids: {
        row.uuid: (invariants.sentence(row.invariant), reverse(LIST))
        for row in InvariantRun.objects.filter(uuid__in=ids)
    },
)
ports.words.register("invariant.broken", "An invariant is broken")
ports.words.register("invariant.mended", "An invariant holds again")
