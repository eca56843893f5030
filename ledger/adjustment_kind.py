"""Adjustments in the approval engine: always somebody else than their maker agrees."""

import uuid
from collections.abc import Iterable
from datetime import datetime

from django.db.models import Count
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from backoffice.who import By
from compliance.approval_kinds import Content, Kind
from compliance.models import Approval
from ledger import adjustments
from ledger.adjustments import SUBJECT
from ledger.models import Adjustment

State = Adjustment.State


class AdjustmentKind(Kind[Adjustment]):
    """Money given to a client, or taken from one, because staff say so."""

    name = SUBJECT
    label = "Adjustment"
    permission = "ledger.approve_adjustment"
    model = Adjustment

    def subject_of(self, approval: Approval, *, lock: bool = False) -> Adjustment:
        pk = Adjustment.objects.values_list("pk", flat=True).get(uuid=approval.subject_id)
        found: Adjustment = adjustments.locked(pk) if lock else adjustments.whole().get(pk=pk)
        return found

    def subjects_of(self, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Adjustment]:
        return {row.uuid: row for row in adjustments.whole().filter(uuid__in=list(ids))}

    def title(self, subject: Adjustment) -> str:
        amount = f"{subject.amount:,.{subject.currency.exponent}f} {subject.currency_id}"
        way = "to" if subject.direction == Adjustment.Direction.CREDIT else "from"
        return f"{subject}: {amount} {way} {subject.client}"

    def gist(self, subject: Adjustment) -> str:
        way = "to" if subject.direction == Adjustment.Direction.CREDIT else "from"
        reversal = ", a reversal" if subject.reverses_id is not None else ""
        return f"{way} the client: {subject.category}{reversal}"

    def content(self, subject: Adjustment) -> Content:
        return {
            "client": subject.client.uuid, "wallet": subject.wallet.uuid, "direction": subject.direction,
            "amount": subject.amount, "currency": subject.currency_id, "category": subject.category.uuid,
            "account": subject.category.purpose,
            "reverses": subject.reverses.uuid if subject.reverses is not None else None,
        }  # fmt: skip

    def check(self, subject: Adjustment, *, by: By, at: datetime) -> None:
        adjustments.check_may_move(subject, State.APPLIED)

    def apply(self, subject: Adjustment, *, approval: Approval, by: By, at: datetime) -> None:
        adjustments.agreed(subject, approval=approval, by=by, at=at)

    def refuse(self, subject: Adjustment, *, approval: Approval, reason: str, by: By, at: datetime) -> None:
        adjustments.refused(subject, approval=approval, reason=reason, by=by, at=at)

    def preview(self, subject: Adjustment) -> SafeString | str:
        from ledger.admin.preview import (
            preview_of,
        )  # the console needs the models, which are not there at start-up

        return preview_of(lambda: adjustments.post(subject, by=By.system("preview"), at=timezone.now()))

    def facts(self, subjects: Iterable[Adjustment]) -> dict[Adjustment, list[str]]:
        """The reason, and how many a client was given before. One question for all of them."""
        rows = list(subjects)
        counts = dict(
            Adjustment.objects.filter(client__in={row.client_id for row in rows}, state=State.APPLIED)
            .values_list("client").annotate(many=Count("pk"))
        )  # fmt: skip
        return {
            row: [row.reason] + ([f"{counts[row.client_id]} before"] if counts.get(row.client_id) else [])
            for row in rows
        }

    def url(self, subject: Adjustment) -> str:
        return reverse("admin:ledger_adjustment_change", args=[subject.pk])
