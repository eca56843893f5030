"""Bank statements: upload, look at what each line would do, import."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import DialogForm, Done, dialog_action
from backoffice.admin.base import ReadOnlyAdmin, record_link, url_of
from backoffice.admin.filters import choice_filter, rows_filter
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.ports import Unfinished
from backoffice.admin.record import Record, Tab
from backoffice.admin.unfinished import tally
from backoffice.errors import DomainError
from backoffice.who import By, called
from ledger.admin.lines import lines_table
from ledger.bank import importing
from ledger.bank.importing import Outcome, Preview
from ledger.models import Account, BankAccount, BankLine, BankStatement

LIST = "admin:ledger_bankstatement_changelist"
STATEMENT = BankStatement._meta.label_lower
PERMISSION = "ledger.import_bankstatement"
SHOWN = 200  # lines of a preview; all of them are counted and added up
State = BankStatement.State
TONES = {State.UPLOADED: show.MINE, State.IMPORTED: show.DONE, State.DISCARDED: show.WAITING}
KINDS = {
    "matched": ("Credited to a deposit", show.DONE), "suspense": ("To suspense", show.MINE),
    "out": ("Money out, not explained yet", show.MINE), "payment": ("A payment of ours", show.DONE),
    "known": ("Booked before; left out", show.WAITING),
}  # fmt: skip


class UploadForm(DialogForm):
    """Which account, and the file."""

    bank_account = forms.ModelChoiceField(
        BankAccount.objects.filter(is_active=True).select_related("currency").order_by("name"),
        widget=UnfoldAdminSelectWidget, empty_label=None,
    )  # fmt: skip
    file = forms.FileField(
        widget=UnfoldAdminFileFieldWidget,
        help_text="camt.053 (XML) or CSV, 20 MB at most. Nothing is booked yet.",
    )
    field_order = ("bank_account", "file", "key")


@dialog_action(
    UploadForm,
    title="Upload a statement",
    button="Upload and look at it",
    description="The file is kept and read. You see what every line would do before anything is booked.",
    permission=PERMISSION,
    icon="upload_file",
)
def upload_statement(admin: Any, request: HttpRequest, row: None, form: Any) -> Done:
    file, account = form.cleaned_data["file"], form.cleaned_data["bank_account"]
    importing.check_size(file.size)
    kept = importing.upload(account, name=file.name, content=file.read(), by=_by(request), at=timezone.now())
    said = {
        State.UPLOADED: "Read. Nothing is booked yet: look at what each line would do.",
        State.IMPORTED: "This file was imported before. Nothing is booked a second time.",
    }
    return Done(said[State(kept.state)], url_of(kept))


def _effect(row: BankStatement) -> SafeString:
    found = importing.preview(row)
    return format_html("{}{}", _totals(row, found), _balances(row, found))


@dialog_action(
    DialogForm,
    title="Import",
    button=lambda row: f"Import into {row.bank_account}",
    description="Every new line is booked, all of them or none. What matches no deposit waits in suspense.",
    permission=PERMISSION,
    check=importing.check_may_import,
    applies=lambda row: row.state == State.UPLOADED,
    effect=_effect,
    icon="playlist_add_check",
)
def import_statement(admin: Any, request: HttpRequest, row: BankStatement, form: Any) -> str:
    done = importing.confirm(row, by=_by(request), at=timezone.now(), key=form.cleaned_data["key"])
    return f"Imported: {done.lines_new:,} of {done.lines_read:,} lines were new and are booked."


@dialog_action(
    title="Discard",
    button="Discard it",
    description="Nothing of it is booked. Uploading the same file again brings it back.",
    permission=PERMISSION,
    check=lambda row: importing.check_may_move(row, State.DISCARDED),
    applies=lambda row: row.state == State.UPLOADED,
    icon="delete",
    danger=True,
)
def discard_statement(admin: Any, request: HttpRequest, row: BankStatement, form: Any) -> str:
    importing.discard(row, by=_by(request), at=timezone.now(), reason=form.cleaned_data["reason"])
    return "Discarded. Nothing of it was booked."


@admin.register(BankStatement)
class BankStatementAdmin(ReadOnlyAdmin):
    list_display = (
        "uploaded",
        "account",
        "number_shown",
        "period",
        "state_shown",
        "new_lines",
        "came",
        "went",
    )
    list_display_links = ("number_shown",)
    list_select_related = ("bank_account__currency",)
    ordering = ("-id",)
    list_filter = (
        rows_filter("bank_account", "bank account", lambda request: BankAccount.objects.order_by("name")),
        choice_filter("state", "state", State.choices),
    )
    subject_type = "bank_statement"
    actions_list = ("upload_statement",)
    actions_detail = ("import_statement", "discard_statement")
    upload_statement, import_statement, discard_statement = (
        upload_statement,
        import_statement,
        discard_statement,
    )
    list_intro = "What our banks say: a file is uploaded, looked at line by line, and imported. No line is booked twice."
    empty_text = "No statement yet. Upload the first one: camt.053 or CSV."

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("content")

    @admin.display(description="Uploaded")
    def uploaded(self, row: BankStatement) -> SafeString:
        return show.when(row.uploaded_at)

    @admin.display(description="Bank account")
    def account(self, row: BankStatement) -> str:
        return str(row.bank_account)

    @admin.display(description="Statement")
    def number_shown(self, row: BankStatement) -> str:
        return row.number or row.file_name

    @admin.display(description="Period")
    def period(self, row: BankStatement) -> str:
        days = [f"{day:%Y-%m-%d}" for day in (row.starts_on, row.ends_on) if day]
        return " to ".join(dict.fromkeys(days))

    @admin.display(description="State")
    def state_shown(self, row: BankStatement) -> SafeString:
        return show.badge(row.get_state_display(), TONES[State(row.state)])

    @admin.display(description="New lines")
    def new_lines(self, row: BankStatement) -> str:
        return (
            f"{row.lines_new:,} of {row.lines_read:,}"
            if row.state == State.IMPORTED
            else f"of {row.lines_read:,}"
        )

    @admin.display(description="Money in")
    def came(self, row: BankStatement) -> SafeString:
        return _money(row, row.money_in) if row.state == State.IMPORTED else show.NOTHING

    @admin.display(description="Money out")
    def went(self, row: BankStatement) -> SafeString:
        return _money(row, row.money_out) if row.state == State.IMPORTED else show.NOTHING

    def record(self, request: HttpRequest, row: BankStatement) -> Record:
        """Before the import what each line would do; afterwards what they did."""
        waits = row.state == State.UPLOADED and request.user.has_perm(PERMISSION)
        return Record(
            title=str(row),
            badge=self.state_shown(row),
            why=row.why,
            facts=[
                ("What is it?", [
                    ("Bank account", record_link(row.bank_account)), ("Number", row.number), ("File", row.file_name),
                    ("Format", row.get_format_display()), ("Period", self.period(row)),
                ]),
                ("What does the bank say?", [
                    ("Opening balance", _money(row, row.opening)), ("Closing balance", _money(row, row.closing)),
                    ("Lines", f"{row.lines_read:,}"),
                ]),
                ("What was booked?", [
                    ("New lines", self.new_lines(row)), ("Money in", self.came(row)), ("Money out", self.went(row)),
                ] if row.state == State.IMPORTED else []),
                ("Who?", [
                    ("Uploaded by", called(row.uploaded_by)), ("Uploaded", show.at(row.uploaded_at)),
                    ("Imported by", called(row.imported_by) if row.imported_by else ""), ("Imported", show.at(row.imported_at)),
                ]),
            ],
            above=_preview(row) if waits else "",
            timeline=timeline.of("bank_statement", row.uuid),
            tabs=[Tab("Lines", lambda: _lines(request, row))]
            if row.state == State.IMPORTED and request.user.has_perm("ledger.view_bankline") else [],
        )  # fmt: skip


def _preview(row: BankStatement) -> SafeString:
    try:
        found = importing.preview(row)
    except DomainError as refusal:  # the account's settings changed since
        return format_html(
            '<div class="c-refusal" role="alert"><b>{}</b> <code>{}</code></div>',
            refusal.message,
            refusal.code,
        )
    wrong = show.table(
        ["Row that cannot be read", "What is wrong"],
        [[error.place, error.message] for error in found.errors[:SHOWN]],
    )
    more = len(found.outcomes) - SHOWN
    return format_html(
        '<section class="c-card"><h3>What importing it would do</h3>{}{}{}'
        "<h3>Line by line</h3>{}{}</section>",
        _totals(row, found), _balances(row, found), wrong if found.errors else "", _outcomes(row, found.outcomes[:SHOWN]),
        format_html("<p>… and {} more lines.</p>", f"{more:,}") if more > 0 else "",
    )  # fmt: skip


def _totals(row: BankStatement, found: Preview) -> SafeString:
    counts = found.counts
    rows = [[words, show.number(counts[kind]), _money(row, found.total(kind))]
            for kind, (words, _) in KINDS.items() if counts[kind]]  # fmt: skip
    if found.errors:
        rows.append([show.badge("Cannot be read", show.WRONG), show.number(len(found.errors)), show.NOTHING])
    return show.table(["What", "Lines", "Comes to"], rows, right=(1, 2), empty="The file has no booked line.")


def _balances(row: BankStatement, found: Preview) -> SafeString:
    """The account in our books before and after, beside the bank's closing balance."""
    account = Account.objects.owned_by("bank_account", row.bank_account.uuid).filter(purpose="bank").first()
    before = account.posted if account is not None else Decimal(0)
    change = sum((one.line.signed for one in found.new), Decimal(0))
    facts = [
        ("In our books before", _money(row, before)),
        ("In our books after", _money(row, before + change)),
    ]
    if row.closing is not None:
        facts.append(("The bank's closing balance", _money(row, row.closing)))
        facts.append(("Difference", _money(row, row.closing - before - change)))
    return format_html(
        '<div class="c-facts"><dl>{}</dl></div>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", facts)
    )


def _outcomes(row: BankStatement, outcomes: tuple[Outcome, ...]) -> SafeString:
    return show.table(
        ["Row", "Booked on", "Amount", "From or to", "Text", "What happens", "Why"],
        [[one.line.place, format_html('<span class="c-money">{}</span>', f"{one.line.booked_on:%Y-%m-%d}"), _money(row, one.line.signed), one.line.counterparty or show.NOTHING,
          show.cut(one.line.text),
          show.badge(*KINDS[one.kind]), record_link(one.deposit, one.reason) if one.deposit else one.reason]
         for one in outcomes],
        right=(2,),
        empty="The file has no booked line.",
    )  # fmt: skip


def _lines(request: HttpRequest, row: BankStatement) -> SafeString:
    rows = ports.visible(request.user, BankLine.objects.filter(statement=row)).order_by("place", "id")
    return lines_table(rows[:SHOWN])


def _money(row: BankStatement, amount: Any) -> SafeString:
    return show.money(amount, row.bank_account.currency_id, row.bank_account.currency.exponent)


def _by(request: HttpRequest) -> By:
    return By.user(request.user)  # type: ignore[arg-type]


def _waiting(request: HttpRequest) -> int:
    return tally(request, STATEMENT).many


ports.sidebar.register(
    "bank_statements",
    SidebarEntry("Payments", "Bank statements", LIST, "receipt_long", "ledger.view_bankstatement", _waiting),
    order=30,
)
ports.unfinished.register(
    STATEMENT,
    Unfinished(BankStatement, "Bank statements", "ledger.view_bankstatement", ("bank_account",)),
    order=52,
)
ports.subjects.register(
    "bank_statement",
    lambda ids: {
        row.uuid: (str(row), url_of(row))
        for row in BankStatement.objects.without_file().select_related("bank_account").filter(uuid__in=ids)
    },
)
for _name, _words in {
    "bank_statement.uploaded": "Uploaded",
    "bank_statement.imported": "Imported",
    "bank_statement.discarded": "Discarded",
}.items():
    ports.words.register(_name, _words)
