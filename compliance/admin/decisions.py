"""Decisions about what clients do with money, the rules behind them, and both on the client's page."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import DialogForm, dialog_action
from backoffice.admin.base import ConsoleAdmin, ReadOnlyAdmin, record_link, url_of
from backoffice.admin.filters import choice_filter, period_filter
from backoffice.admin.many import Result, Results
from backoffice.admin.ports import Entry, Panel
from backoffice.admin.record import Record, Tab
from backoffice.who import called
from compliance import trials
from compliance.models import Activity, Client, Decision, MonitoringRule, Movement, Outcome

TONES = {Outcome.ALLOW: show.DONE, Outcome.REVIEW: show.MINE, Outcome.BLOCK: show.WRONG}
WHY = {
    Outcome.ALLOW: "Nothing spoke against it.",
    Outcome.REVIEW: "Somebody looks at it before it goes on; the reasons stand below.",
    Outcome.BLOCK: "It does not go on; the reasons stand below. A change of the client's KYC level has it looked at again.",
}


def outcome(row: Decision) -> SafeString:
    return show.badge(row.get_outcome_display(), TONES[Outcome(row.outcome)])


def money(row: Activity) -> SafeString:
    return show.money(row.amount, row.currency_id, row.currency.exponent)


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    list_display = ("when", "who", "what", "amount", "outcome_shown", "why_shown")
    list_display_links = ("what",)
    list_select_related = ("activity__client", "activity__currency")
    ordering = ("-id",)
    list_filter = (
        choice_filter("outcome", "outcome", Outcome.choices),
        choice_filter("activity__kind", "kind", Movement.choices),
        period_filter("at", "time decided"),
    )
    list_intro = "What was decided about what clients do with money, with every reason. What the client was told stands apart: never say more."
    empty_text = "Nothing was decided yet. Each deposit, withdrawal and transfer is decided about when it is asked for."

    @admin.display(description="Decided")
    def when(self, row: Decision) -> SafeString:
        return show.when(row.at)

    @admin.display(description="Client")
    def who(self, row: Decision) -> SafeString:
        return record_link(row.activity.client)  # type: ignore[no-any-return]

    @admin.display(description="What")
    def what(self, row: Decision) -> str:
        return row.activity.get_kind_display()

    @admin.display(description="Amount")
    def amount(self, row: Decision) -> SafeString:
        return money(row.activity)

    @admin.display(description="Outcome")
    def outcome_shown(self, row: Decision) -> SafeString:
        return outcome(row)

    @admin.display(description="Why")
    def why_shown(self, row: Decision) -> SafeString:
        text = " · ".join(reason["message"] for reason in row.reasons) or "Nothing spoke against it"
        return show.cut(text)

    def record(self, request: HttpRequest, row: Decision) -> Record:
        about = ports.names([(row.activity.subject_type, row.activity.subject_id)]).get(
            row.activity.subject_id
        )
        return Record(
            title=f"{row.activity.get_kind_display()} of {row.activity.client}",
            badge=outcome(row),
            amount=money(row.activity),
            why=WHY[Outcome(row.outcome)],
            facts=[
                ("What was asked?", [
                    ("Client", record_link(row.activity.client)), ("Kind", row.activity.get_kind_display()),
                    ("About", show.link(*about) if about else ""), ("Asked", show.at(row.activity.at)),
                    ("Takes room of the limits", show.yes(row.activity.counts)),
                    ("Came to nothing", show.at(row.activity.released_at)),
                ]),
                ("Who decided?", [("By", called(row.by)), ("When", show.at(row.at))]),
            ],
            timeline=timeline.of("activity", row.activity.uuid),
            tabs=[Tab("Reasons", lambda: _reasons(row)), Tab("Every look at it", lambda: _looks(row.activity))],
        )  # fmt: skip


def _reasons(row: Decision) -> SafeString:
    return show.table(
        ["Reason", "Outcome", "For staff", "The client may be told"],
        [[reason["code"], show.badge(Outcome(reason["outcome"]).label, TONES[Outcome(reason["outcome"])]), reason["message"], reason["told"]]
         for reason in row.reasons],
        empty="Nothing spoke against it.",
    )  # fmt: skip


def _looks(activity: Activity) -> SafeString:
    return show.table(
        ["When", "Outcome", "Reasons", "By"],
        [[show.link(show.at(row.at), url_of(row)), outcome(row), ", ".join(row.codes), timeline.person(row.by)]
         for row in activity.decisions.order_by("-id")[:50]],
    )  # fmt: skip


class TryForm(DialogForm):
    """The rule as it is, or as it might be."""

    days = forms.IntegerField(
        min_value=1,
        max_value=365,
        initial=30,
        label="Of the last days",
        widget=UnfoldAdminTextInputWidget({"inputmode": "numeric"}),
    )
    threshold = forms.DecimalField(
        min_value=0,
        max_digits=38,
        decimal_places=18,
        widget=UnfoldAdminTextInputWidget({"inputmode": "decimal"}),
    )
    outcome = forms.ChoiceField(
        choices=[(Outcome.REVIEW, "To be looked at"), (Outcome.BLOCK, "Blocked")],
        widget=UnfoldAdminSelectWidget,
    )
    field_order = ("days", "threshold", "outcome", "key")

    def fit(self, row: MonitoringRule) -> None:
        self.fields["threshold"].initial = show.tidy(row.threshold).replace(",", "")
        self.fields["threshold"].help_text = f"{row.get_condition_display()} …"
        self.fields["outcome"].initial = row.outcome


@dialog_action(
    TryForm, title="Try on the past", button="Try it", permission="compliance.view_monitoringrule", icon="history", many=True,
    description="What it would have said of what clients asked for, in force or not, as it is or with other figures. Nothing changes. What a "
    "client's level, risk and standing are is taken as it is today, and that nobody owed us anything.",
)  # fmt: skip
def try_rule(admin: Any, request: HttpRequest, row: MonitoringRule, form: Any) -> Results:
    data = form.cleaned_data
    row.threshold, row.outcome = data["threshold"], data["outcome"]
    found = trials.run(row, days=data["days"], reader=form.reader, at=timezone.now())
    return Results(_said(found), [
        Result(
            f"{one.activity}, {show.tidy(one.activity.amount, one.activity.currency.exponent)} {one.activity.currency_id}, {one.activity.client}",
            f"{one.message}: {one.was.label.lower()} → {one.would_be.label.lower()}" if one.was != one.would_be
            else f"{one.message}; {one.was.label.lower()} as it was",
        )
        for one in found.came[: trials.EXAMPLES]
    ])  # fmt: skip


def _said(found: trials.Trial) -> str:
    """The figures as a sentence: how many it speaks of, and how all ended without and with it."""

    def many(of: Mapping[Outcome, int]) -> str:
        return ", ".join(f"{of.get(each, 0):,} {each.label.lower()}" for each in Outcome)

    those = "all" if found.is_all else "the newest"
    examples = f" The newest {trials.EXAMPLES} of these:" if len(found.came) > trials.EXAMPLES else ""
    return (
        f"It would have come true for {len(found.came):,} of {found.looked_at:,} ({those} of that time). Without it: {many(found.was)}. With it: "
        f"{many(found.would_be)}.{examples}"
    )


@admin.register(MonitoringRule)
class MonitoringRuleAdmin(ConsoleAdmin):
    list_display = ("name", "watches", "condition_shown", "threshold_shown", "outcome_shown", "in_force")
    list_display_links = ("name",)
    list_select_related = ("currency",)
    ordering = ("name",)
    edit_fields = ("name", "kind", "condition", "threshold", "currency", "outcome", "told", "is_active")
    add_fields = ("code", *edit_fields)
    actions_detail = ("try_rule",)
    try_rule = try_rule
    list_intro = (
        "What to watch for in what clients do with money. The worst of what comes true counts, and every reason is kept. What the client "
        "may be told is a text of its own: it never says what was suspected."
    )
    empty_text = "No rule: only limits speak against anything."

    @admin.display(description="Watches")
    def watches(self, row: MonitoringRule) -> str:
        return f"{row.get_kind_display() or 'All'}, {row.currency_id or 'any currency'}"

    @admin.display(description="Comes true if")
    def condition_shown(self, row: MonitoringRule) -> str:
        return row.get_condition_display()

    @admin.display(description="Threshold")
    def threshold_shown(self, row: MonitoringRule) -> SafeString:
        return show.number(row.threshold)

    @admin.display(description="Then")
    def outcome_shown(self, row: MonitoringRule) -> SafeString:
        return show.badge(row.get_outcome_display(), TONES[Outcome(row.outcome)])

    @admin.display(description="In force")
    def in_force(self, row: MonitoringRule) -> SafeString:
        return show.badge("In force", show.DONE) if row.is_active else show.badge("Not in force")

    def record(self, request: HttpRequest, row: MonitoringRule) -> Record:
        return Record(
            title=row.name,
            badge=self.in_force(row),
            why="Looked at with everything that is decided about from now on." if row.is_active else "It is looked at with nothing.",
            facts=[
                ("When does it come true?", [
                    ("Watches", self.watches(row)), ("If", row.get_condition_display()), ("Threshold", self.threshold_shown(row)),
                ]),
                ("What follows?", [
                    ("Outcome", self.outcome_shown(row)), ("Reason", row.code),
                    ("The client is told", row.told or "That we look at it, or that it is not possible"),
                ]),
            ],
        )  # fmt: skip


def _panel(request: HttpRequest, client: Client) -> SafeString:
    rows = (
        Decision.objects.filter(activity__client=client)
        .select_related("activity__currency")
        .order_by("-id")[:25]
    )
    return show.table(
        ["Decided", "What", "Amount", "Outcome", "Reasons"],
        [[show.when(row.at), record_link(row, row.activity.get_kind_display()), money(row.activity), outcome(row), ", ".join(row.codes)]
         for row in rows],
        right=(2,),
        empty="Nothing was decided about them yet. Deposits, withdrawals and transfers are.",
    )  # fmt: skip


def _activities(ids: Any) -> Any:
    rows = Decision.objects.filter(activity__uuid__in=ids).select_related("activity").order_by("id")
    return {row.activity.uuid: (str(row.activity), url_of(row)) for row in rows}


ports.clients_of.register("compliance.decision", lambda row: [row.activity.client.uuid])
ports.client_panels.register("decisions", Panel("Decisions", "compliance.view_decision", _panel), order=41)
ports.subjects.register("activity", _activities)
ports.words.register("activity.decided", lambda payload: f"{Outcome(payload['outcome']).label}")
_SAID: dict[str, str] = {
    Outcome.REVIEW: "compliance wants it looked at",
    Outcome.BLOCK: "stopped by compliance",
}
ports.phrases.register("outcome", lambda value: _SAID.get(value, ""))
ports.words.register("activity.released", "Came to nothing; takes no room any more")
ports.sidebar.register(
    "decisions", Entry("Compliance", "Decisions", "admin:compliance_decision_changelist", "gavel", "compliance.view_decision"),
    order=20,
)  # fmt: skip
ports.sidebar.register(
    "monitoring_rules",
    Entry("Compliance", "Monitoring rules", "admin:compliance_monitoringrule_changelist", "policy", "compliance.view_monitoringrule"),
    order=40,
)  # fmt: skip
