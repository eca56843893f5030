"""Withdrawals in the approval engine: what is agreed to, what an approver should know, and what follows."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, OuterRef, Subquery
from django.urls import reverse
from django.utils.safestring import SafeString

from backoffice.who import By
from compliance.approval_kinds import Content, Kind
from compliance.conditions import level_since_column
from compliance.models import Approval
from ledger import payments, withdrawals
from ledger.models import Deposit, Withdrawal
from ledger.withdrawals import SUBJECT

State = Withdrawal.State
NEW = timedelta(days=7)


class WithdrawalKind(Kind[Withdrawal]):
    """A client's money to leave for their beneficiary."""

    name = SUBJECT
    label = "Withdrawal"
    permission = "ledger.approve_withdrawal"
    model = Withdrawal
    related = withdrawals.RELATED

    def title(self, subject: Withdrawal) -> str:
        digits = subject.currency.exponent
        return f"Withdrawal of {subject.amount:,.{digits}f} {subject.currency_id} to {subject.beneficiary}"

    def gist(self, subject: Withdrawal) -> str:
        """Their own account by its ends alone; whose it is where that is somebody else."""
        where = subject.beneficiary
        is_own = where.holder.casefold() == subject.client.name.casefold()
        return f"to {where.hint}" if is_own else f"to {where}"

    def content(self, subject: Withdrawal) -> Content:
        return {
            "client": subject.client.uuid, "beneficiary": subject.beneficiary.uuid,
            "number": subject.beneficiary.fingerprint, "currency": subject.currency_id, "amount": subject.amount,
            "fee": subject.fee,
        }  # fmt: skip

    def check(self, subject: Withdrawal, *, by: By, at: datetime) -> None:
        withdrawals.check_may_move(subject, State.APPROVED)

    def apply(self, subject: Withdrawal, *, approval: Approval, by: By, at: datetime) -> None:
        withdrawals.agreed(subject, approval=approval, by=by, at=at)

    def refuse(self, subject: Withdrawal, *, approval: Approval, reason: str, by: By, at: datetime) -> None:
        withdrawals.refused(subject, approval=approval, reason=reason, by=by, at=at)

    def preview(self, subject: Withdrawal) -> SafeString | str:
        from ledger.admin.preview import (
            preview,
        )  # the console needs the models, which are not there at start-up

        return preview([payments.draft_of(subject)])

    def known(self, rows: Any) -> Any:
        """How many were paid and are open, when money last came, and since when the KYC level is what it is."""
        mine = Withdrawal.objects.filter(client=OuterRef("client")).order_by().values("client")
        came = Deposit.objects.filter(client=OuterRef("client"), state=Deposit.State.COMPLETED)
        return rows.annotate(
            paid_before=Subquery(mine.filter(state=State.PAID).annotate(many=Count("pk")).values("many")),
            open_now=Subquery(
                mine.exclude(state__in=[*Withdrawal.FINAL, State.PAID])
                .annotate(many=Count("pk"))
                .values("many")
            ),
            deposited_at=Subquery(came.order_by("-completed_at").values("completed_at")[:1]),
            level_since=level_since_column("client"),
        )

    def facts(self, subjects: Iterable[Withdrawal]) -> dict[Withdrawal, list[str]]:
        """All of it comes with the rows: no question more."""
        return {row: list(_facts(row)) for row in subjects}

    def url(self, subject: Withdrawal) -> str:
        return reverse("admin:ledger_withdrawal_change", args=[subject.pk])


def _facts(row: Any) -> Iterable[str]:
    at: datetime = row.requested_at
    if at - row.beneficiary.added_at < NEW:
        yield f"beneficiary {_days(at - row.beneficiary.added_at)} old"
    if row.client.kyc_level == 0:
        yield "no KYC"
    elif at - row.level_since < NEW:
        yield f"KYC {_days(at - row.level_since)} old"
    if not row.paid_before:
        yield "first withdrawal"
    if (row.open_now or 0) > 1:
        yield f"{row.open_now - 1} other open"
    if row.deposited_at is not None and timedelta(0) <= at - row.deposited_at < timedelta(days=2):
        yield f"deposited {_days(at - row.deposited_at)} before"


def _days(length: timedelta) -> str:
    hours = int(length.total_seconds() / 3600)
    if hours < 1:
        return "minutes"
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"
