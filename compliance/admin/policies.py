"""Approval policies: how many must agree to what. Whoever changes one proves themselves again, and says why."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelectWidget

from backoffice.admin import ports, show
from backoffice.admin.base import ConsoleAdmin
from backoffice.admin.filters import choice_filter
from backoffice.admin.ports import Entry
from backoffice.admin.record import Record
from compliance import approval_kinds
from compliance.models import ApprovalPolicy


@admin.register(ApprovalPolicy)
class ApprovalPolicyAdmin(ConsoleAdmin):
    list_display = ("kind_shown", "currency_shown", "from_shown", "many", "role_shown", "hours", "in_force")
    list_display_links = ("kind_shown",)
    list_select_related = ("currency", "role")
    ordering = ("kind", "currency", "from_amount")
    edit_fields = ("approvers", "role", "hours", "is_active")
    add_fields = ("kind", "currency", "from_amount", "approvers", "role", "hours", "is_active")
    elevated = True
    list_intro = (
        "How many must agree to what, none of them who asks. The highest step that the amount reaches applies: of the currency's "
        "own steps, else of those for any currency. Without any, one person must agree. A change holds for what is asked for from then on."
    )
    empty_text = "No policy yet: one person other than who asks must agree to everything."

    def get_list_filter(self, request: HttpRequest) -> Any:
        return (choice_filter("kind", "kind", approval_kinds.choices()),)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "kind":
            return forms.ChoiceField(choices=approval_kinds.choices(), widget=UnfoldAdminSelectWidget)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @admin.display(description="Kind")
    def kind_shown(self, row: ApprovalPolicy) -> str:
        kind = approval_kinds.find(row.kind)
        return kind.label if kind is not None else row.kind

    @admin.display(description="Currency")
    def currency_shown(self, row: ApprovalPolicy) -> str:
        return row.currency_id or "Any"

    @admin.display(description="From")
    def from_shown(self, row: ApprovalPolicy) -> SafeString:
        return show.number(row.from_amount)

    @admin.display(description="Who must agree")
    def many(self, row: ApprovalPolicy) -> str:
        return {0: "Nobody: done at once", 1: "1 person"}.get(row.approvers, f"{row.approvers} people")

    @admin.display(description="Of the role")
    def role_shown(self, row: ApprovalPolicy) -> str:
        return str(row.role) if row.role is not None else "Whoever may decide it"

    @admin.display(description="In force")
    def in_force(self, row: ApprovalPolicy) -> SafeString:
        return show.badge("In force", show.DONE) if row.is_active else show.badge("Not in force")

    def record(self, request: HttpRequest, row: ApprovalPolicy) -> Record:
        return Record(
            title=f"{self.kind_shown(row)} from {show.tidy(row.from_amount)} {row.currency_id or 'of any currency'}",
            badge=self.in_force(row),
            why="It applies from this amount on, up to the next step." if row.is_active else "It applies to nothing new.",
            facts=[
                ("To what?", [
                    ("Kind", self.kind_shown(row)), ("Currency", self.currency_shown(row)), ("From", self.from_shown(row)),
                ]),
                ("Who must agree?", [
                    ("How many", self.many(row)), ("Of the role", self.role_shown(row)), ("Within", f"{row.hours} hours"),
                ]),
            ],
        )  # fmt: skip


ports.sidebar.register(
    "approval_policies",
    Entry("Settings", "Approval policies", "admin:compliance_approvalpolicy_changelist", "rule", "compliance.view_approvalpolicy"),
    order=20,
)  # fmt: skip
