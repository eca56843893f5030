"""Adjustments in the approval engine: always somebody else than their maker agrees."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Count, OuterRef, Subquery
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
    related = adjustments.RELATED

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

    def known(self, rows: Any) -> Any:
        """How many the client was given before."""
        mine = Adjustment.objects.filter(client=OuterRef("client"), state=State.APPLIED)
        many = mine.order_by().values("client").annotate(many=Count("pk")).values("many")
        return rows.annotate(applied_before=Subquery(many))

    def facts(self, subjects: Iterable[Adjustment]) -> dict[Adjustment, list[str]]:
        """The reason, and how many a client was given before. It comes with the rows: no question more."""
        return {row: list(_facts(row)) for row in subjects}

    def url(self, subject: Adjustment) -> str:
        return reverse("admin:ledger_adjustment_change", args=[subject.pk])


def _facts(row: Any) -> Iterable[str]:
    yield row.reason
    if row.applied_before:
        yield f"{row.applied_before} before"
