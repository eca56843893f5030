"""A small kind of approval for tests: to rate a client's risk as high. Registered through the port, as any app does."""

from decimal import Decimal
from typing import Any

from django.db import connection

from backoffice import events
from backoffice.errors import DomainError
from compliance import approvals
from compliance.approvals import Kind
from compliance.models import Approval, ApprovalPolicy, Client
from tests import world

NAME = "test.note"
PERMISSION = "compliance.decide_approval"
# The database's own error, as it ends one of two transactions that wait for each other.
DEADLOCK = "DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = 'deadlock_detected'; END $$"


class NotNow(DomainError):
    """The client is suspended: nothing is noted."""

    code = "NOT_NOW"


class NoteKind(Kind[Client]):
    """The client's risk becomes high; a suspended client's does not."""

    name, label, permission, model = NAME, "Note", PERMISSION, Client

    def title(self, subject: Client) -> str:
        return f"Note on {subject}"

    def content(self, subject: Client) -> dict[str, Any]:
        return {"client": subject.uuid, "country": subject.country, "markup_rate": subject.markup_rate}

    def check(self, subject, *, by, at):
        if subject.status == Client.Status.SUSPENDED:
            raise NotNow("The client is suspended.")

    def apply(self, subject, *, approval, by, at):
        subject.risk_rating = Client.Risk.HIGH
        subject.save(update_fields=["risk_rating"])
        events.record("note.applied", subject_type="client", subject_id=subject.uuid, by=by, at=at)
        if subject.last_name == "Refused":
            raise NotNow("Not with that name.")
        if subject.last_name == "Deadlock":
            with connection.cursor() as cursor:
                cursor.execute(DEADLOCK)
        if subject.last_name == "Broken":
            raise ZeroDivisionError("a defect")

    def refuse(self, subject, *, approval, reason, by, at):
        events.record("note.refused", subject_type="client", subject_id=subject.uuid, by=by, at=at,
                      payload={"ended": approval.state})  # fmt: skip
        if subject.last_name == "Gone":
            raise NotNow("It went on without it.")

    def preview(self, subject):
        return f"Risk of {subject}: low → high"

    def facts(self, subjects):
        return {subject: ["new client", f"KYC level {subject.kyc_level}"] for subject in subjects}


if NAME not in approvals.kinds.names():
    approvals.kinds.register(NAME, NoteKind())


def policy(**given: Any) -> ApprovalPolicy:
    return ApprovalPolicy.objects.create(**{"kind": NAME, "approvers": 1, **given})


def asked(by: Any = None, **given: Any) -> Approval:
    """An approval that waits, of a client of its own."""
    values = {"client": None, "amount": Decimal("100.00"), "currency": "USD", "at": world.NOW, **given}
    client = values.pop("client") or world.client().client
    return approvals.request(NAME, client, client=client, by=by or world.TESTER, **values)
