"""Withdrawals in the approval engine: what is agreed to, what an approver should know, and what follows."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.safestring import SafeString

from backoffice.who import By
from compliance.approval_kinds import Content, Kind
from compliance.conditions import level_since
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

    def subject_of(self, approval: Approval, *, lock: bool = False) -> Withdrawal:
        row = Withdrawal.objects.select_related("client", "beneficiary", "currency").get(
            uuid=approval.subject_id
        )
        return withdrawals.locked(row.pk) if lock else row

    def title(self, subject: Withdrawal) -> str:
        digits = subject.currency.exponent
        return f"Withdrawal of {subject.amount:,.{digits}f} {subject.currency_id} to {subject.beneficiary}"

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

    def facts(self, subjects: Iterable[Withdrawal]) -> dict[Withdrawal, list[str]]:
        """Two questions for all of them, and one for each client's KYC."""
        rows = list(subjects)
        clients = {row.client_id for row in rows}
        counts = {
            found["client_id"]: found
            for found in Withdrawal.objects.filter(client__in=clients).values("client_id").annotate(
                paid=Count("pk", filter=Q(state=State.PAID)), open=Count("pk", filter=~Q(state__in=[*Withdrawal.FINAL, State.PAID]))
            )
        }  # fmt: skip
        latest = dict(
            Deposit.objects.filter(client__in=clients, state=Deposit.State.COMPLETED)
            .order_by("client_id", "completed_at").values_list("client_id", "completed_at")
        )  # fmt: skip
        return {
            row: self._facts(row, counts.get(row.client_id, {}), latest.get(row.client_id)) for row in rows
        }

    def url(self, subject: Withdrawal) -> str:
        return reverse("admin:ledger_withdrawal_change", args=[subject.pk])

    def _facts(self, row: Withdrawal, counts: Mapping[str, Any], deposited: datetime | None) -> list[str]:
        at, found = row.requested_at, []
        if at - row.beneficiary.added_at < NEW:
            found.append(f"beneficiary {_days(at - row.beneficiary.added_at)} old")
        since = level_since(row.client)
        if row.client.kyc_level == 0:
            found.append("no KYC")
        elif at - since < NEW:
            found.append(f"KYC {_days(at - since)} old")
        if not counts.get("paid"):
            found.append("first withdrawal")
        if counts.get("open", 0) > 1:
            found.append(f"{counts['open'] - 1} other open")
        if deposited is not None and timedelta(0) <= at - deposited < timedelta(days=2):
            found.append(f"deposited {_days(at - deposited)} before")
        return found


def _days(length: timedelta) -> str:
    hours = int(length.total_seconds() // 3600)
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"
