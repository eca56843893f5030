"""Batches: files of payments to take to the bank, and what its status reports say of them."""

import base64
import zlib
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
)

from backoffice import access
from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import DialogForm, Done, dialog_action
from backoffice.admin.base import ReadOnlyAdmin, record_link, url_of
from backoffice.admin.filters import choice_filter
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.ports import Unfinished
from backoffice.admin.record import Record, Tab
from backoffice.admin.unfinished import tally
from backoffice.models import User
from backoffice.who import By
from ledger import batches, pain002
from ledger.admin.payments import TONES as PAYMENT_TONES
from ledger.admin.preview import preview_of
from ledger.admin.shown import named
from ledger.models import Payment, PaymentBatch

BATCH = PaymentBatch._meta.label_lower
Batch, State = PaymentBatch.State, Payment.State
TONES = {
    Batch.OPEN: show.WAITING, Batch.SEALING: show.MOVING, Batch.SEALED: show.MINE, Batch.SENT: show.MOVING,
    Batch.CLOSED: show.DONE,
}  # fmt: skip


def _what_leaves(row: PaymentBatch) -> SafeString:
    rows = row.payments.filter(state=State.QUEUED)
    total = sum((one.amount for one in rows), row.bank_account.currency.exponent * 0)
    return format_html(
        "<dl><dt>Payments</dt><dd>{}</dd><dt>Together</dt><dd>{}</dd><dt>From</dt><dd>{}</dd></dl>"
        "<p class='c-quiet'>Their money leaves the wallets for payments out, each by an entry of its own.</p>",
        f"{len(rows):,}", show.money(total, row.bank_account.currency_id, row.bank_account.currency.exponent), row.bank_account,
    )  # fmt: skip


@dialog_action(
    DialogForm,
    title="Seal a batch",
    button="Seal it and write the file",
    permission="ledger.send_batch",
    applies=lambda row: row.state == Batch.OPEN,
    effect=_what_leaves,
    icon="lock",
)
def seal_batch(admin: Any, request: HttpRequest, row: PaymentBatch, form: Any) -> str:
    batches.seal(row, by=By.user(request.user), at=timezone.now())  # type: ignore[arg-type]
    return "Sealed. The file is ready within moments; payments agreed to from now on join the next one."


@dialog_action(
    DialogForm,
    title="Mark a batch as sent",
    button="It was taken to the bank",
    description="Say so only when the bank has the file: its payments count as being with the bank from then on.",
    permission="ledger.send_batch",
    applies=lambda row: row.state == Batch.SEALED,
    icon="outbox",
)
def mark_batch_sent(admin: Any, request: HttpRequest, row: PaymentBatch, form: Any) -> str:
    batches.mark_sent(row, by=By.user(request.user), at=timezone.now())  # type: ignore[arg-type]
    return "With the bank. Its statement or status report says what became of each payment."


class ReportForm(DialogForm):
    """The bank's file. The first press shows what it would post and keeps it, packed, in the dialog; the second does it."""

    file = forms.FileField(
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text="pain.002 (XML), 5 MB at most. It names the file that it is about.",
    )
    kept = forms.CharField(required=False, widget=forms.HiddenInput)
    field_order = ("file", "kept", "key")
    content = b""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("file"):
            self.content = data["file"].read(pain002.MOST_BYTES + 1)
        elif data.get("kept"):
            self.content = _unpacked(data["kept"])
        if not self.content:
            self.add_error("file", "Choose the bank's file.")
        elif len(self.content) > pain002.MOST_BYTES:
            self.add_error("file", f"At most {pain002.MOST_BYTES // 2**20} MB are taken in.")
        return data

    def is_shown(self) -> bool:
        """What was shown is what the dialog kept; a file that comes now was not."""
        if not self.is_bound or not self.is_valid():
            return False
        data: Any = self.data.copy()  # type: ignore[attr-defined]
        data[self.add_prefix("kept")] = base64.b64encode(zlib.compress(self.content)).decode()
        self.data = data
        return not self.cleaned_data["file"]

    def effect(self, row: None) -> SafeString | str:
        """The entries by which what the bank rejects is in the wallets again."""
        if not self.is_bound or not self.is_valid():
            return ""
        by = By.system("preview")
        return preview_of(lambda: batches.take_report(self.content, by=by, at=timezone.now()))


def _unpacked(kept: str) -> bytes:
    """What a dialog kept; nothing where that is no such thing. Never more than is taken in, whatever it unpacks to."""
    try:
        return zlib.decompressobj().decompress(base64.b64decode(kept, validate=True), pain002.MOST_BYTES + 1)
    except (ValueError, zlib.error):
        return b""


@dialog_action(
    ReportForm,
    title="Upload a status report",
    button="Read it and do what it says",
    description="What the bank rejects has failed, and the money is in the wallets again. What it took stays with the bank until "
    "a statement shows that it left.",
    permission="ledger.send_batch",
    icon="upload_file",
)
def upload_report(admin: Any, request: HttpRequest, row: None, form: Any) -> Done:
    done = batches.take_report(form.content, by=By.user(request.user), at=timezone.now())  # type: ignore[arg-type]
    said = f"{done.rejected:,} rejected, {done.taken:,} taken by the bank."
    if done.contradicted:
        said += f" It also says no to {len(done.contradicted):,} known to have been paid; ask the bank: {', '.join(done.contradicted[:3])}."
    return Done(said, url_of(done.batch))


@admin.register(PaymentBatch)
class PaymentBatchAdmin(ReadOnlyAdmin):
    list_display = ("day", "message", "bank_account", "many", "total", "state_shown", "why_shown")
    list_display_links = ("day",)
    list_select_related = ("bank_account__currency",)
    record_related = ("bank_account__currency",)
    ordering = ("-id",)
    list_filter = (choice_filter("state", "state", Batch.choices),)
    subject_type = "payment_batch"
    actions_detail = ("seal_batch", "mark_batch_sent")
    actions_list = ("upload_report",)
    upload_report = upload_report
    seal_batch, mark_batch_sent = seal_batch, mark_batch_sent
    list_intro = "Files of payments for the bank: one takes payments at a time, is sealed, taken to the bank, and told of by its statement."
    empty_text = "No batch yet. The first withdrawal by bank transfer that is agreed to opens one."

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<int:pk>/file/", self.admin_site.admin_view(self.download), name="ledger_paymentbatch_file"
        )
        return [own, *super().get_urls()]  # type: ignore[list-item]

    def download(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The file as it was sealed, to the last byte."""
        if not request.user.has_perm("ledger.send_batch"):
            raise PermissionDenied
        row = self.get_object(request, str(pk))
        if row is None or not row.file:
            raise Http404("There is no such file.")
        clients = list(row.payments.values_list("withdrawal__client__uuid", flat=True).distinct())
        assert isinstance(request.user, User)
        access.note(request.user, clients, "record", BATCH, str(row.pk), at=timezone.now())
        answer = HttpResponse(row.file.encode(), content_type="application/xml")
        answer["Content-Disposition"] = f'attachment; filename="{row.message_id}.xml"'
        return answer

    @admin.display(description="Day")
    def day(self, row: PaymentBatch) -> str:
        return f"{row.business_date:%Y-%m-%d}"

    @admin.display(description="File")
    def message(self, row: PaymentBatch) -> SafeString:
        return format_html('<span class="c-code">{}</span>', row.message_id)

    @admin.display(description="Payments")
    def many(self, row: PaymentBatch) -> str:
        return f"{row.count:,}" if row.sha256 else ""

    @admin.display(description="Total")
    def total(self, row: PaymentBatch) -> SafeString:
        code = row.bank_account.currency
        return show.money(row.control_sum if row.sha256 else None, code.pk, code.exponent)

    @admin.display(description="State")
    def state_shown(self, row: PaymentBatch) -> SafeString:
        return show.badge(row.get_state_display(), TONES[Batch(row.state)])

    @admin.display(description="Why, and what next")
    def why_shown(self, row: PaymentBatch) -> SafeString:
        return show.cut(row.why)

    def record(self, request: HttpRequest, row: PaymentBatch) -> Record:
        """What is in it, where it stands, and its file."""
        file: SafeString | str = ""
        if row.sha256 and request.user.has_perm("ledger.send_batch"):
            file = format_html(
                '<a class="c-link" href="{}">Download the file</a>',
                reverse("admin:ledger_paymentbatch_file", args=[row.pk]),
            )
        return Record(
            title=row.message_id,
            badge=self.state_shown(row),
            amount=self.total(row),
            why=row.why,
            facts=[
                ("What is in it?", [
                    ("From", record_link(row.bank_account)), ("Payments", self.many(row)), ("Control sum", self.total(row)),
                    ("Format", f"pain.001.{row.version}"), ("File", file),
                    ("SHA-256", format_html('<span class="c-code">{}</span>', row.sha256) if row.sha256 else ""),
                ]),
                ("When?", [
                    ("Begun", show.at(row.opened_at)), ("Sealed", show.at(row.sealed_at)), ("Sent", show.at(row.sent_at)),
                    ("Closed", show.at(row.closed_at)),
                ]),
            ],
            timeline=timeline.of("payment_batch", row.uuid),
            tabs=[Tab("Payments", lambda: _payments(request, row))],
        )  # fmt: skip


def _payments(request: HttpRequest, batch: PaymentBatch) -> Any:
    rows = batch.payments.select_related(
        "withdrawal__client", "withdrawal__beneficiary", "currency"
    ).order_by("id")
    return show.table(
        ["Client", "To", "Amount", "End-to-end id", "State"],
        [[record_link(row.withdrawal.client), str(row.withdrawal.beneficiary),
          show.money(row.amount, row.currency_id, row.currency.exponent), record_link(row, row.end_to_end_id),
          show.badge(row.get_state_display(), PAYMENT_TONES[State(row.state)])]
         for row in ports.visible(request.user, rows)[:200]],
        right=(2,),
        empty="No payment in it.",
    )  # fmt: skip


ports.sidebar.register(
    "payment_batches",
    SidebarEntry("Payments", "Batches", "admin:ledger_paymentbatch_changelist", "folder_zip", "ledger.view_paymentbatch",
                 lambda request: tally(request, BATCH, Batch.SEALED).many),
    order=40,
)  # fmt: skip
ports.unfinished.register(
    BATCH, Unfinished(PaymentBatch, "Payment batches", "ledger.view_paymentbatch"), order=47
)
ports.subjects.register("payment_batch", named(PaymentBatch))
for _name, _words in {
    "batch.sealing": "Sealed; the file is being written",
    "batch.sealed": "File written",
    "batch.sent": "Taken to the bank",
    "batch.reported": "The bank's status report came",
    "batch.closed": "Closed: the bank has told of every payment",
}.items():
    ports.words.register(_name, _words)
