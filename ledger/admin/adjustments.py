"""Adjustments: asked for on a wallet's page, agreed to in the approvals inbox, reversed by another; and their categories."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import Done, ReasonForm, ShownFirst, dialog_action
from backoffice.admin.base import ConsoleAdmin, ReadOnlyAdmin, record_link, url_of
from backoffice.admin.exporting import Exported, person
from backoffice.admin.filters import choice_filter, period_filter, queue_filter, rows_filter
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.ports import Panel, Unfinished
from backoffice.admin.record import Record, Tab
from backoffice.admin.unfinished import tally
from backoffice.patience import is_late
from backoffice.who import By, called
from compliance.admin.approval_actions import try_subject_again, why
from ledger import adjustments
from ledger.admin.preview import preview_of
from ledger.admin.shown import entries_text
from ledger.models import Account, Adjustment, AdjustmentCategory, Book, Entry

ADJUSTMENT = Adjustment._meta.label_lower
LIST = "admin:ledger_adjustment_changelist"
MAKE = "ledger.make_adjustment"
State = Adjustment.State
TONES = {
    State.WAITING: show.MINE, State.APPLIED: show.DONE, State.REJECTED: show.WRONG, State.EXPIRED: show.WAITING,
    State.CANCELLED: show.WAITING,
}  # fmt: skip
QUEUES: dict[str, Any] = {
    "waiting": lambda rows, at: rows.filter(state=State.WAITING),
    "applied": lambda rows, at: rows.filter(state=State.APPLIED),
}
TITLES = {"": "All", "waiting": "For approval", "applied": "Applied"}


class AdjustForm(ShownFirst, ReasonForm):
    """Which way, how much, what for; and what the client reads."""

    direction = forms.ChoiceField(
        choices=Adjustment.Direction.choices, widget=UnfoldAdminSelectWidget, label="Which way"
    )
    amount = forms.CharField(max_length=40, widget=UnfoldAdminTextInputWidget({"inputmode": "decimal"}))
    category = forms.ModelChoiceField(
        AdjustmentCategory.objects.filter(is_active=True).order_by("name"),
        widget=UnfoldAdminSelectWidget,
        empty_label=None,
    )
    told = forms.CharField(
        max_length=200, required=False, widget=UnfoldAdminTextInputWidget, label="What the client reads",
        help_text="Beside the line in their history. Empty: nothing.",
    )  # fmt: skip
    field_order = ("direction", "amount", "category", "told", "reason", "seen", "key")
    decides = ("direction", "amount", "category")

    def effect(self, row: Account) -> Any:
        """The lines of what was typed last, as they would be if somebody agreed now; before that, what will happen."""
        if not self.is_bound or not self.is_valid():
            return "Nothing is posted until somebody else agrees. You see the journal lines before you ask for it."
        data = self.cleaned_data
        return preview_of(lambda: _try(row, data, By.system("preview")))


def _try(row: Account, data: dict[str, Any], by: By) -> None:
    now = timezone.now()
    made = adjustments.make(row, **_given(data), by=by, at=now, key="preview")
    adjustments.post(made, by=by, at=now)


def _given(data: dict[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in ("direction", "amount", "category", "told", "reason")}


@dialog_action(
    AdjustForm,
    title="Adjust",
    button="Ask for it",
    description="Money for the client, or from them. Somebody other than you must agree before anything is posted.",
    permission=MAKE,
    applies=lambda row: row.purpose == "wallet" and row.book == Book.REAL and not row.is_closed,
    icon="exposure",
)
def adjust_wallet(admin: Any, request: HttpRequest, row: Account, form: Any) -> Done:
    data = form.cleaned_data
    made = adjustments.make(row, **_given(data), by=_by(request), at=timezone.now(), key=data["key"])
    return Done("Asked for. Somebody else must agree; below is what it will post.", url_of(made))


@dialog_action(
    title="Reverse an adjustment",
    button="Ask for its reversal",
    description="Another adjustment takes it back whole, once somebody other than you agrees.",
    permission=MAKE,
    check=adjustments.check_may_reverse,
    applies=lambda row: row.state == State.APPLIED and row.reverses_id is None,
    effect=lambda row: preview_of(lambda: _try_reversal(row)),
    icon="undo",
    danger=True,
)
def reverse_adjustment(admin: Any, request: HttpRequest, row: Adjustment, form: Any) -> Done:
    data = form.cleaned_data
    made = adjustments.reverse(
        row, reason=data["reason"], by=_by(request), at=timezone.now(), key=data["key"]
    )
    return Done("Asked for. Somebody else must agree.", url_of(made))


def _try_reversal(row: Adjustment) -> None:
    by, now = By.system("preview"), timezone.now()
    made = adjustments.reverse(row, reason="Preview", by=by, at=now, key="preview")
    adjustments.post(made, by=by, at=now)


@dialog_action(
    title="Call off an adjustment",
    button="Call it off",
    description="Nothing was posted. The approval that waits for it ends.",
    permission=MAKE,
    check=lambda row: adjustments.check_may_move(row, State.CANCELLED),
    applies=lambda row: row.state == State.WAITING,
    icon="block",
    danger=True,
)
def cancel_adjustment(admin: Any, request: HttpRequest, row: Adjustment, form: Any) -> str:
    adjustments.cancel(row, by=_by(request), at=timezone.now(), reason=form.cleaned_data["reason"])
    return "Called off. Nothing was posted."


@admin.register(Adjustment)
class AdjustmentAdmin(Exported, ReadOnlyAdmin):
    list_display = ("made", "who", "what", "value", "state_shown", "reason", "why_shown")
    list_display_links = ("made",)
    list_select_related = ("client", "currency", "category")
    record_related = (
        "client",
        "currency",
        "category",
        "wallet",
        "reverses__category",
        "reverses__entry",
        "approval",
        "entry",
    )
    ordering = ("-id",)
    list_filter = (
        queue_filter(QUEUES),
        choice_filter("state", "state", State.choices),
        rows_filter("category", "category", lambda request: AdjustmentCategory.objects.order_by("name")),
        period_filter("made_at", "time asked for"),
    )
    exported = (
        ("Asked for", "made_at"), ("Client", person("client")), ("Which way", "direction"), ("Amount", "amount"), ("Currency", "currency_id"), ("Category", "category__name"), ("Reason", "reason"), ("The client reads", "told"), ("State", "state"), ("Last change", "changed_at"),
    )  # fmt: skip
    exported_clients = ("client__uuid",)
    subject_type = adjustments.SUBJECT
    try_subject_again = try_subject_again
    actions_detail = ("try_subject_again", "reverse_adjustment", "cancel_adjustment")
    reverse_adjustment, cancel_adjustment = reverse_adjustment, cancel_adjustment
    list_intro = "Money staff give clients or take from them. One asks, on the wallet's page; another agrees in the approvals inbox."
    empty_text = "No adjustment. Ask for one with “Adjust” on the page of a client's wallet."

    def tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        chosen, url = request.GET.get("queue", ""), reverse(LIST)
        counts = {"waiting": tally(request, ADJUSTMENT, State.WAITING).many}
        return [
            {"title": title, "link": f"{url}?queue={name}" if name else url, "active": chosen == name,
             "count": counts.get(name, 0)}
            for name, title in TITLES.items()
        ]  # fmt: skip

    @admin.display(description="Asked for")
    def made(self, row: Adjustment) -> SafeString:
        return show.when(row.made_at, tone=show.WRONG if is_late(row, timezone.now()) else "")

    @admin.display(description="Client")
    def who(self, row: Adjustment) -> SafeString:
        return record_link(row.client)  # type: ignore[no-any-return]

    @admin.display(description="For")
    def what(self, row: Adjustment) -> str:
        return str(row)

    @admin.display(description="Amount")
    def value(self, row: Adjustment) -> SafeString:
        return amount(row)

    @admin.display(description="State")
    def state_shown(self, row: Adjustment) -> SafeString:
        return badge(row)

    @admin.display(description="Why, and what next")
    def why_shown(self, row: Adjustment) -> SafeString:
        return show.cut(row.why)

    def record(self, request: HttpRequest, row: Adjustment) -> Record:
        """Who asked and why, who agreed, and what was posted or will be."""
        reversals = row.reversals.select_related("category").order_by("-id")
        reversal = reversals.first() if row.state == State.APPLIED else None
        return Record(
            title=str(row),
            badge=badge(row),
            amount=amount(row),
            why=why(row),
            facts=[
                ("Whose is it?", [("Client", record_link(row.client)), ("Wallet", record_link(row.wallet))]),
                ("What is it for?", [
                    ("Which way", row.get_direction_display()), ("Category", record_link(row.category)), ("Reason", row.reason),
                    ("The client reads", row.told), ("Reverses", record_link(row.reverses) if row.reverses else ""),
                    ("Reversed by", record_link(reversal) if reversal else ""),
                ]),
                ("Who asked, who agreed?", [
                    ("Asked for by", called(row.made_by)), ("Approval", record_link(row.approval) if row.approval else ""),
                ]),
                ("When?", [("Asked for", show.at(row.made_at)), ("Last change", show.at(row.changed_at))]),
            ],
            timeline=timeline.of(adjustments.SUBJECT, row.uuid),
            tabs=[Tab(_TAB[row.state == State.WAITING], lambda: _lines(row))]
            if request.user.has_perm("ledger.view_entry") else [],
        )  # fmt: skip


_TAB = {True: "What it will post", False: "Journal entries"}


def _lines(row: Adjustment) -> SafeString:
    if row.state == State.WAITING:
        return preview_of(lambda: adjustments.post(row, by=By.system("preview"), at=timezone.now()))
    return entries_text(list(Entry.objects.filter(pk=row.entry_id)))


@admin.register(AdjustmentCategory)
class AdjustmentCategoryAdmin(ConsoleAdmin):
    list_display = ("name", "way", "account", "most_shown", "use")
    ordering = ("name",)
    add_fields = ("name", "direction", "account_kind", "purpose", "most", "is_active")
    # What was booked stays where it is; another account is another category.
    edit_fields = ("name", "direction", "most", "is_active")
    list_intro = "What adjustments are made for, and against which account of ours they are booked."
    empty_text = "No category. Nothing can be adjusted until one is added."

    @admin.display(description="Which way")
    def way(self, row: AdjustmentCategory) -> str:
        return row.get_direction_display()

    @admin.display(description="Account")
    def account(self, row: AdjustmentCategory) -> str:
        return f"{row.get_account_kind_display()}: {row.purpose.replace('_', ' ')}"

    @admin.display(description="At most")
    def most_shown(self, row: AdjustmentCategory) -> SafeString:
        return show.number(row.most)

    @admin.display(description="Use")
    def use(self, row: AdjustmentCategory) -> SafeString:
        return show.badge("In use", show.DONE) if row.is_active else show.badge("Not in use")

    def record(self, request: HttpRequest, row: AdjustmentCategory) -> Record:
        return Record(
            title=row.name,
            badge=self.use(row),
            why="Offered wherever a wallet is adjusted." if row.is_active else "Not offered any more; what was booked by it stays.",
            facts=[("What is it?", [
                ("Which way", self.way(row)), ("Booked as", self.account(row)), ("At most", self.most_shown(row)),
            ])],
        )  # fmt: skip


def badge(row: Adjustment) -> SafeString:
    return show.badge(row.get_state_display(), TONES[State(row.state)])


def amount(row: Adjustment) -> SafeString:
    signed = row.amount if row.direction == Adjustment.Direction.CREDIT else -row.amount
    return show.gain(signed, row.currency_id, row.currency.exponent)


def _panel(request: HttpRequest, client: Any) -> Any:
    rows = (
        Adjustment.objects.filter(client=client).select_related("currency", "category").order_by("-id")[:20]
    )
    return show.table(
        ["Asked for", "For", "Amount", "Reason", "State"],
        [[show.when(row.made_at), record_link(row), amount(row), row.reason, badge(row)] for row in rows],
        right=(2,),
        empty="No adjustment yet. Ask for one with “Adjust”, beside the wallet under Ledger accounts.",
    )  # fmt: skip


def _by(request: HttpRequest) -> By:
    return By.user(request.user)  # type: ignore[arg-type]


def _adjustments(ids: Any) -> Any:
    rows = Adjustment.objects.filter(uuid__in=ids).select_related("category")
    return {row.uuid: (str(row), url_of(row)) for row in rows}


ports.sidebar.register(
    "adjustments",
    SidebarEntry("Payments", "Adjustments", LIST, "exposure", "ledger.view_adjustment",
                 lambda request: tally(request, ADJUSTMENT, State.WAITING).many),
    order=16,
)  # fmt: skip
ports.sidebar.register(
    "adjustment_categories",
    SidebarEntry("Settings", "Adjustment categories", "admin:ledger_adjustmentcategory_changelist", "category",
                 "ledger.view_adjustmentcategory"),
    order=56,
)  # fmt: skip
ports.unfinished.register(
    ADJUSTMENT,
    Unfinished(Adjustment, "Adjustments", "ledger.view_adjustment", ("client", "currency", "category")),
    order=47,
)
ports.client_panels.register("adjustments", Panel("Adjustments", "ledger.view_adjustment", _panel), order=34)
ports.subjects.register("adjustment", _adjustments)
for _name, _words in {
    "adjustment.made": "Asked for",
    "adjustment.applied": "Agreed to and booked",
    "adjustment.reversed": "Reversed",
    "adjustment.rejected": "Rejected; nothing was posted",
    "adjustment.expired": "Nobody decided in time; nothing was posted",
    "adjustment.cancelled": "Called off; nothing was posted",
}.items():
    ports.words.register(_name, _words)
