"""The outbox: what was mailed, whether it left, and why not. What a mail says and to which address is not shown."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from backoffice.admin import ports, show
from backoffice.admin.base import ReadOnlyAdmin, record_link
from backoffice.admin.filters import choice_filter, period_filter
from backoffice.admin.ports import Entry, Unfinished
from backoffice.admin.record import Record
from backoffice.admin.unfinished import tally
from backoffice.models import Mail

MAIL = "backoffice.mail"
LIST = "admin:backoffice_mail_changelist"
TITLES = {
    "reset_password": "New password",
    "password_changed": "Password was changed",
    "verify_email": "Confirm the address",
    "already_a_client": "Has a log-in already",
    "new_device": "New device",
}


def _badge(mail: Mail) -> SafeString:
    tones = {Mail.State.QUEUED: show.WAITING, Mail.State.SENT: show.DONE, Mail.State.FAILED: show.WRONG}
    return show.badge(mail.get_state_display(), tones[Mail.State(mail.state)])


@admin.register(Mail)
class MailAdmin(ReadOnlyAdmin):
    list_display = ("queued", "what", "to_whom", "state_shown", "tries", "sent")
    list_display_links = ("queued",)
    list_select_related = ("user",)
    ordering = ("-id",)
    list_filter = (
        choice_filter("state", "state", Mail.State.choices),
        period_filter("queued_at", "time queued"),
    )
    list_intro = "Mail to people who log in. In demo mode without a mail server it is written into the data folder, below `mail`."
    empty_text = "No mail was sent yet."

    @admin.display(description="Queued")
    def queued(self, mail: Mail) -> SafeString:
        return show.at(mail.queued_at)

    @admin.display(description="What")
    def what(self, mail: Mail) -> str:
        return TITLES.get(mail.template, mail.template)

    @admin.display(description="To")
    def to_whom(self, mail: Mail) -> Any:
        return record_link(mail.user)

    @admin.display(description="State")
    def state_shown(self, mail: Mail) -> SafeString:
        return _badge(mail)

    @admin.display(description="Sent")
    def sent(self, mail: Mail) -> SafeString:
        return show.when(mail.sent_at)

    def record(self, request: HttpRequest, row: Mail) -> Record:
        return Record(
            title=TITLES.get(row.template, row.template),
            badge=_badge(row),
            why=row.why,
            facts=[
                ("To whom?", [("Person", record_link(row.user))]),
                ("What became of it?", [("Tries", str(row.tries)), ("Last error", row.error)]),
                ("When?", [
                    ("Queued", show.at(row.queued_at)), ("Sent", show.at(row.sent_at)),
                    ("Useless after", show.at(row.good_until)),
                ]),
            ],
        )  # fmt: skip


ports.unfinished.register(MAIL, Unfinished(Mail, "Mail", "backoffice.view_mail"), order=60)
ports.sidebar.register(
    "mail",
    Entry(
        "Operations", "Mail", LIST, "mail", "backoffice.view_mail", lambda request: tally(request, MAIL).late
    ),
    order=55,
)
