"""Transfers in the approval engine: what is agreed to, what an approver should know, and what follows."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, OuterRef, Subquery
from django.urls import reverse
from django.utils.safestring import SafeString

from backoffice.who import By
from compliance.approval_kinds import Content, Kind
from compliance.models import Approval, Client
from ledger import transfers
from ledger.models import Transfer
from ledger.transfer_codes import RecipientUnknown
from ledger.transfers import SUBJECT

State = Transfer.State
NEW = timedelta(days=7)


class TransferKind(Kind[Transfer]):
    """A client's money to go to another client, or into another currency."""

    name = SUBJECT
    label = "Transfer"
    permission = "ledger.approve_transfer"
    model = Transfer
    related = transfers.RELATED

    def title(self, subject: Transfer) -> str:
        given = f"{subject.given:,.{subject.given_currency.exponent}f} {subject.given_currency_id}"
        if subject.is_exchange:
            got = f"{subject.got:,.{subject.got_currency.exponent}f} {subject.got_currency_id}"
            return f"Exchange of {given} to {got}"
        return f"Transfer of {given} to {subject.to_client}"

    def gist(self, subject: Transfer) -> str:
        return f"into {subject.got_currency_id}" if subject.is_exchange else f"to {subject.to_client}"

    def content(self, subject: Transfer) -> Content:
        return {
            "client": subject.client.uuid, "to": subject.to_client.uuid, "given": subject.given,
            "given_currency": subject.given_currency_id, "got": subject.got, "got_currency": subject.got_currency_id,
            "quote": subject.quote.uuid if subject.quote is not None else None,
        }  # fmt: skip

    def check(self, subject: Transfer, *, by: By, at: datetime) -> None:
        transfers.check_may_move(subject, State.DONE)
        if not subject.is_exchange and subject.to_client.status != Client.Status.ACTIVE:
            raise RecipientUnknown("The recipient is not an active client any more.")

    def apply(self, subject: Transfer, *, approval: Approval, by: By, at: datetime) -> None:
        transfers.agreed(subject, approval=approval, by=by, at=at)

    def refuse(self, subject: Transfer, *, approval: Approval, reason: str, by: By, at: datetime) -> None:
        transfers.refused(subject, approval=approval, reason=reason, by=by, at=at)

    def preview(self, subject: Transfer) -> SafeString | str:
        from ledger.admin.preview import (
            preview,
        )  # the console needs the models, which are not there at start-up

        return preview([transfers.draft_of(subject, at=subject.requested_at)])

    def known(self, rows: Any) -> Any:
        """How often the client sent money to the other before."""
        sent = Transfer.objects.filter(
            client=OuterRef("client"), to_client=OuterRef("to_client"), state=State.DONE
        )
        many = sent.order_by().values("client").annotate(many=Count("pk")).values("many")
        return rows.annotate(sent_before=Subquery(many))

    def facts(self, subjects: Iterable[Transfer]) -> dict[Transfer, list[str]]:
        """All of it comes with the rows: no question more."""
        return {row: list(_facts(row)) for row in subjects}

    def url(self, subject: Transfer) -> str:
        return reverse("admin:ledger_transfer_change", args=[subject.pk])


def _facts(row: Any) -> Iterable[str]:
    if row.is_exchange:
        yield "at the rate of the quote"
    elif not row.sent_before:
        yield "first to this client"
    if row.client.kyc_level == 0:
        yield "no KYC"
    if row.requested_at - row.to_client.opened_at < NEW and not row.is_exchange:
        yield "new recipient"
