"""Transfers in the approval engine: what is agreed to, what an approver should know, and what follows."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Count, Q
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

    def subject_of(self, approval: Approval, *, lock: bool = False) -> Transfer:
        pk = Transfer.objects.values_list("pk", flat=True).get(uuid=approval.subject_id)
        return transfers.locked(pk) if lock else transfers.of_pk(pk)

    def subjects_of(self, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Transfer]:
        return {row.uuid: row for row in transfers.whole().filter(uuid__in=list(ids))}

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

    def facts(self, subjects: Iterable[Transfer]) -> dict[Transfer, list[str]]:
        """One question for all of them."""
        rows = list(subjects)
        before = {
            (found["client"], found["to_client"]): found["many"]
            for found in Transfer.objects.filter(client__in={row.client_id for row in rows})
            .values("client", "to_client").annotate(many=Count("pk", filter=Q(state=State.DONE)))
        }  # fmt: skip
        return {row: list(_facts(row, before.get((row.client_id, row.to_client_id), 0))) for row in rows}

    def url(self, subject: Transfer) -> str:
        return reverse("admin:ledger_transfer_change", args=[subject.pk])


def _facts(row: Transfer, before: int) -> Iterable[str]:
    if row.is_exchange:
        yield "at the rate of the quote"
    elif not before:
        yield "first to this client"
    if row.client.kyc_level == 0:
        yield "no KYC"
    if row.requested_at - row.to_client.opened_at < NEW and not row.is_exchange:
        yield "new recipient"
