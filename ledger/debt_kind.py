"""Write-offs in the approval engine: what is given up, what an approver should know, and what follows."""

from collections.abc import Iterable
from datetime import datetime

from django.urls import reverse
from django.utils.safestring import SafeString

from backoffice.who import By
from compliance.approval_kinds import Content, Kind
from compliance.models import Approval
from ledger import debts, journal
from ledger.models import Debt

State = Debt.State


class WriteOffKind(Kind[Debt]):
    """What a client owes us, to be given up."""

    name = debts.WRITE_OFF
    label = "Write-off"
    permission = "ledger.write_off_debt"
    model = Debt

    @property
    def subject_type(self) -> str:
        return debts.SUBJECT

    def subject_of(self, approval: Approval, *, lock: bool = False) -> Debt:
        rows = Debt.objects.select_related("client", "currency", "account", "claw_back__deposit")
        row = rows.get(uuid=approval.subject_id)
        return debts.locked(row) if lock else row

    def title(self, subject: Debt) -> str:
        return f"Write-off of {subject.left:,.{subject.currency.exponent}f} {subject.currency_id} owed by {subject.client}"

    def gist(self, subject: Debt) -> str:
        return f"of a debt since {subject.opened_at:%Y-%m-%d}"

    def content(self, subject: Debt) -> Content:
        return {"client": subject.client.uuid, "currency": subject.currency_id, "left": subject.left}

    def check(self, subject: Debt, *, by: By, at: datetime) -> None:
        debts.check_may_move(subject, State.WRITTEN_OFF)

    def apply(self, subject: Debt, *, approval: Approval, by: By, at: datetime) -> None:
        debts.written_off(subject, by=by, at=at)

    def refuse(self, subject: Debt, *, approval: Approval, reason: str, by: By, at: datetime) -> None:
        debts.stays(subject, reason=reason, by=by, at=at)

    def preview(self, subject: Debt) -> SafeString | str:
        from ledger.admin.preview import (
            preview,  # the console needs the models, which are not there at start-up
        )

        draft = journal.Draft(
            kind="debt_written_off", lines=debts.write_off_lines(subject), at=subject.changed_at, key="preview",
            subject=(debts.SUBJECT, subject.uuid), client_id=subject.client.uuid,
        )  # fmt: skip
        return preview([draft])

    def facts(self, subjects: Iterable[Debt]) -> dict[Debt, list[str]]:
        return {
            row: [
                f"owed for {(row.changed_at - row.opened_at).days} days",
                *(["partly recovered"] if row.recovered else []),
            ]
            for row in subjects
        }

    def url(self, subject: Debt) -> str:
        return reverse("admin:ledger_debt_change", args=[subject.pk])
