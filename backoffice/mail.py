"""The outbox: a mail is a row of the transaction that wants it sent, and leaves after the commit.

Mail may carry what proves somebody's identity, so rows keep it sealed and drop it once they are final; no event ever
has it. A worker that dies between the server's word and ours has the mail sent a second time: never none for one.
"""

import json
import logging
import smtplib
from datetime import datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any, Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction

from backoffice.models import Mail, User
from backoffice.wake import wake

State = Mail.State
TEMPLATES: Final = Path(__file__).resolve().parent / "mail_templates"
MOST_TRIES: Final = 8
_FIRST_WAIT: Final = timedelta(seconds=30)
_log = logging.getLogger(__name__)


def queue(
    template: str, *, to: User, at: datetime, good_for: timedelta = timedelta(days=1), **context: str
) -> Mail:
    """Have a mail sent after the caller's transaction commits, not later than `good_for` from then.

    `context` fills the template's names, beside `name`, `company` and `client_url`.

    :raises KeyError: if the template asks for what is not there.
    """
    _rendered(template, _filled(to, context))  # what cannot be sent is not queued
    row = Mail.objects.create(
        user=to, to=to.email, template=template, context=json.dumps(_filled(to, context)),
        queued_at=at, next_try_at=at, good_until=at + good_for,
    )  # fmt: skip
    wake("mail.deliver", row.pk)
    return row


def deliver(mail_id: int, *, at: datetime) -> None:
    """Try to send one mail that is due. A second call, or one at the same time, does nothing. Locks the row, briefly.

    The try is counted and its successor set before the server is asked, so no lock is held while it thinks.
    """
    with transaction.atomic():
        row = Mail.objects.due(at).select_for_update(skip_locked=True, no_key=True).filter(pk=mail_id).first()
        if row is None:
            return
        if row.good_until <= at:
            _end(row, State.FAILED, error="too late")
            return
        row.tries += 1
        row.next_try_at = at + _FIRST_WAIT * 2 ** (row.tries - 1)
        row.save(update_fields=["tries", "next_try_at"])
    subject, body = _rendered(row.template, json.loads(row.context))
    try:
        EmailMessage(subject, body, settings.DEFAULT_FROM_EMAIL, [row.to]).send()
    except (smtplib.SMTPException, OSError) as found:
        is_final = isinstance(found, smtplib.SMTPRecipientsRefused) or row.tries >= MOST_TRIES
        _log.warning("mail %s was not taken: %s", row.uuid, type(found).__name__)
        _end(row, State.FAILED if is_final else State.QUEUED, error=type(found).__name__)
        return
    _end(row, State.SENT, at=at)


def sweep(*, at: datetime, most: int = 100) -> int:
    """Try what is due and was not sent at once; returns how many."""
    due = list(Mail.objects.due(at).values_list("pk", flat=True)[:most])
    for mail_id in due:
        deliver(mail_id, at=at)
    return len(due)


def _end(row: Mail, state: str, *, at: datetime | None = None, error: str = "") -> None:
    """What became of a try; only a queued mail moves, and a final one keeps nothing of what it carried."""
    changes: dict[str, Any] = {"state": state, "sent_at": at, "error": error[:64]}
    if state != State.QUEUED:
        changes["context"] = None
    Mail.objects.filter(pk=row.pk, state=State.QUEUED).update(**changes)


def _filled(to: User, context: dict[str, str]) -> dict[str, str]:
    return {"name": to.get_short_name(), "client_url": settings.CONFIG.client_url, **context}


def _rendered(template: str, context: dict[str, str]) -> tuple[str, str]:
    """Subject and body: the first line of the template, and what follows the empty one."""
    subject, _, body = (TEMPLATES / f"{template}.txt").read_text().partition("\n\n")
    plain = {name: " ".join(value.split()) for name, value in context.items()}  # nobody writes lines of ours
    return Template(subject.removeprefix("Subject: ")).substitute(plain), Template(body).substitute(plain)
