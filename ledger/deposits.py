"""Deposits: a client says that money will come, it comes, and it is in the wallet.

`complete` is the one way money of a deposit is booked, whoever saw it come: a bank statement, a person, a provider.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from backoffice import events, keys, metrics
from backoffice.errors import DomainError, InvalidInput, KeyReused, MoveNotAllowed, NotFound
from backoffice.models import Currency, User
from backoffice.money import parse_amount
from backoffice.who import By
from compliance import clients, decisions, limits
from compliance.decisions import Asked
from compliance.models import Client, Movement
from ledger import accounts, fees, journal, references
from ledger.content import content_hash
from ledger.models import Account, BankAccount, Book, Deposit, Fee, Method
from ledger.wallets import wallet

State = Deposit.State
WAITS_FOR: Final = timedelta(days=30)
SUBJECT: Final = "deposit"


class DepositNotOffered(DomainError):
    """Nothing takes deposits by this method in this currency."""

    code = "DEPOSIT_NOT_OFFERED"
    field = "currency"


@metrics.verb("deposit.create")
def create(
    client: Client,
    *,
    method: str,
    currency: str,
    amount: str | Decimal,
    by: By,
    at: datetime,
    key: str,
    waits_for: timedelta = WAITS_FOR,
    within_limits: bool = False,
    collector: str = "",
) -> Deposit:
    """The client says that money will come; the answer has the reference to write on the payment. Nothing is booked.

    `collector` takes it for us, where it does not come to our bank (see `collecting.taking`). `amount` is exact, never
    rounded. After `waits_for` the deposit expires by itself. The same key with the same
    content returns the first deposit; keys are each client's own. Opens the client's wallet in the currency.

    With `within_limits` what the client's limits of deposits have no room for is refused: for what clients ask themselves.
    Money that comes is credited whatever the limits say.

    :raises OverLimit: if it is refused for that.
    :raises DepositNotOffered: if the currency is not in use, or no bank account of ours takes such deposits.
    :raises InvalidAmount: if the amount is not one. :raises InvalidInput: if it is not above zero.
    :raises KeyReused: if the key was used with other content.
    """
    keys.check(key)
    unit = Currency.objects.filter(code=currency, is_active=True).first()
    if unit is None or method not in Method.values:
        raise DepositNotOffered(f"There are no deposits in {str(currency)[:12]} here.")
    value = parse_amount(amount, exponent=unit.exponent, field="amount")
    if value <= 0:
        raise InvalidInput("The amount is above zero.", field="amount")
    content = content_hash("deposit", method, currency, f"{value:f}")
    if (first := _first(client, key, content)) is not None:
        return first
    if method == Method.BANK and pays_into(currency) is None:
        raise DepositNotOffered(f"No bank account of ours takes {currency}.")
    if within_limits:
        limits.check(client, Movement.DEPOSIT, currency, value, at=at)
    try:
        with transaction.atomic():
            row = Deposit(
                client=client, wallet=wallet(client.uuid, currency, at=at), method=method, currency=unit, amount=value,
                reference=references.unused(Deposit), key=key, content_hash=content, created_at=at, changed_at=at,
                expires_at=at + waits_for, collector=collector,
            )  # fmt: skip
            row.save(force_insert=True)
            _record("deposit.created", row, by=by, at=at, key=key)
            return row
    except IntegrityError as found:
        # Two requests with one key at the same time: the second finds the first one's row.
        if "deposit_key_once" not in str(found) or (first := _first(client, key, content)) is None:
            raise
        return first


def cancel(deposit: Deposit, *, by: By, at: datetime, reason: str = "") -> Deposit:
    """The client, or staff for them, says that nothing will come. Cancelled again, nothing changes. Locks the deposit.

    Money that comes all the same is still credited by its reference.

    :raises MoveNotAllowed: if it is completed, failed or expired, or with a provider.
    """
    with transaction.atomic():
        row = locked(deposit)
        if row.state == State.CANCELLED:
            return row
        check_may_move(row, State.CANCELLED)
        return _move(row, State.CANCELLED, "deposit.cancelled", by=by, at=at, reason=reason)


def begin(deposit: Deposit, *, external_id: str, by: By, at: datetime) -> Deposit:
    """A provider has taken it and works on it, under its own id. Again, nothing changes. Locks the deposit.

    :raises MoveNotAllowed: if it is over.
    """
    with transaction.atomic():
        row = locked(deposit)
        if row.state == State.PROCESSING and row.external_id == external_id:
            return row
        check_may_move(row, State.PROCESSING)
        row.external_id = external_id[:128]
        return _move(row, State.PROCESSING, "deposit.processing", by=by, at=at)


def fail(deposit: Deposit, *, note: str, by: By, at: datetime) -> Deposit:
    """A provider says that nothing comes; `note` says why, and is shown to the client. Again, nothing changes.

    Locks the deposit.

    :raises MoveNotAllowed: if it is completed, cancelled or expired.
    """
    with transaction.atomic():
        row = locked(deposit)
        if row.state == State.FAILED:
            return row
        check_may_move(row, State.FAILED)
        return _move(row, State.FAILED, "deposit.failed", by=by, at=at, note=note)


def expire_due(at: datetime, limit: int = 500) -> int:
    """Expire up to `limit` deposits nobody paid in time, oldest first, and say how many. Two at once share the work."""
    with transaction.atomic():
        rows = Deposit.objects.due_to_expire(at).select_related("client", "wallet", "currency")
        due = list(rows.select_for_update(of=("self",), no_key=True, skip_locked=True)[:limit])
        for row in due:
            _move(row, State.EXPIRED, "deposit.expired", by=By.system("deposits"), at=at)
    return len(due)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Money that came for a deposit: how much, and the account of ours it came into or stood on until now."""

    deposit: Deposit
    amount: Decimal
    source: Account
    external_id: str = ""
    note: str = ""
    narration: str = ""
    fee: Decimal = Decimal(0)


@metrics.verb("deposit.complete")
def complete(
    deposit: Deposit,
    *,
    amount: Decimal,
    source: Account,
    by: By,
    at: datetime,
    external_id: str = "",
    note: str = "",
    narration: str = "",
) -> Deposit:
    """The money came: the wallet gets it less the fee, by one entry (debit `source`, credit wallet and deposit fees).

    `source` is the account it came into (a bank's, a provider's) or the one it waited on (suspense). `amount` is what
    came, whatever was asked for. A deposit that was cancelled or ran out is completed all the same, which its note
    says. The same again (amount, external id) changes nothing. Locks the deposit, then the accounts.

    :raises MoveNotAllowed: if it failed, or was completed by another payment. Also the refusals of `journal.post`.
    """
    with transaction.atomic():
        row = locked(deposit)
        if row.state == State.COMPLETED:
            _check_same(row, amount, external_id)
            return row
        (receipt,) = with_fees([
            Receipt(deposit=row, amount=amount, source=source, external_id=external_id, note=note, narration=narration)
        ])  # fmt: skip
        posted = journal.post_many([draft_of(receipt, at=at)], by=by)
        record_completed([receipt], posted, by=by, at=at)
    return Deposit.objects.select_related("client", "wallet", "currency", "entry").get(pk=row.pk)


def with_fees(receipts: Sequence[Receipt]) -> list[Receipt]:
    """The same receipts with what we take of each: one question for each method and currency among them."""
    rows: dict[tuple[str, str], Fee | None] = {}
    found = []
    for receipt in receipts:
        kind = (receipt.deposit.method, receipt.deposit.currency_id)
        if kind not in rows:
            rows[kind] = fees.in_use(Fee.Direction.IN, *kind)
        row = rows[kind]
        taken = Decimal(0) if row is None else fees.amount_of(row, receipt.amount)
        found.append(replace(receipt, fee=taken))
    return found


def draft_of(receipt: Receipt, *, at: datetime) -> journal.Draft:
    """The entry that completes a deposit, to be posted as it is or among others. Refuses nothing, changes nothing."""
    row, net = receipt.deposit, receipt.amount - receipt.fee
    lines = [journal.debit(receipt.source, receipt.amount)]
    if net:
        lines.append(journal.credit(row.wallet_id, net))
    if receipt.fee:
        lines.append(journal.credit(fee_account(row.currency_id), receipt.fee))
    return journal.Draft(
        kind="deposit", lines=lines, at=at, key=f"deposit:{row.uuid}:completed", reference=row.reference,
        narration=receipt.narration or f"{row.get_method_display()} {row.reference}", subject=(SUBJECT, row.uuid),
        client_id=row.client.uuid,
    )  # fmt: skip


_COMPLETE: Final = """
UPDATE ledger_deposit d
SET state = 'completed', received = x.received, fee = x.fee, entry_id = x.entry, note = x.note,
    external_id = CASE WHEN x.external = '' THEN d.external_id ELSE x.external END, completed_at = %s, changed_at = %s
FROM unnest(%s::bigint[], %s::numeric[], %s::numeric[], %s::bigint[], %s::text[], %s::text[])
    AS x(id, received, fee, entry, external, note)
WHERE d.id = x.id
"""


def record_completed(
    receipts: Sequence[Receipt], posted: Sequence[journal.Posted], *, by: By, at: datetime
) -> None:
    """Move deposits to completed after their entries were posted, with an event each; four statements for any number.

    The caller holds the deposits' row locks and has checked that each may be completed.
    """
    for receipt in receipts:
        check_may_move(receipt.deposit, State.COMPLETED)
    notes = [_note(receipt) for receipt in receipts]
    with connection.cursor() as cursor:
        cursor.execute(_COMPLETE, [
            at, at, [one.deposit.pk for one in receipts], [one.amount for one in receipts], [one.fee for one in receipts],
            [one.entry_id for one in posted], [one.external_id[:128] for one in receipts], notes,
        ])  # fmt: skip
    came = [
        Asked(
            Movement.DEPOSIT,
            one.deposit.client,
            one.deposit.currency_id,
            one.amount,
            (SUBJECT, one.deposit.uuid),
        )
        for one in receipts
    ]
    decisions.note_many(came, at=at)
    events.record_many(
        [
            events.Draft(
                "deposit.completed", SUBJECT, one.deposit.uuid, one.deposit.client.uuid,
                {"amount": one.deposit.amount, "received": one.amount, "fee": one.fee, "currency": one.deposit.currency_id,
                 "method": one.deposit.method, "state": State.COMPLETED, "was": one.deposit.state, "entry": answer.uuid},
            )
            for one, answer in zip(receipts, posted, strict=True)
        ],
        by=by, at=at,
    )  # fmt: skip


def of_user(user: User, public_id: UUID) -> Deposit:
    """One of this user's deposits, with their role (`clients.check_role`).

    :raises NotFound: if there is none with this id, or it is somebody else's.
    """
    rows = Deposit.objects.of_user(user).select_related("client", "wallet", "currency")
    try:
        found: Deposit = clients.with_role(rows).get(uuid=public_id)
    except Deposit.DoesNotExist:
        raise NotFound("There is no such deposit.", field="id") from None
    return found


def pays_into(currency: str) -> BankAccount | None:
    """The bank account of ours that clients are told to pay into, if there is one in this currency."""
    return BankAccount.objects.filter(currency=currency, takes_deposits=True, is_active=True).first()


def fee_account(currency: str) -> Account:
    """What deposits bring us in fees."""
    return accounts.house(Book.REAL, currency, "deposit_fees", Account.Kind.INCOME)


def check_may_move(deposit: Deposit, state: str) -> None:
    """:raises MoveNotAllowed: if it cannot go from its state to this one."""
    if state not in Deposit.MOVES[State(deposit.state)]:
        raise MoveNotAllowed(f"The deposit is {deposit.get_state_display().lower()}.", field="id")


def locked(deposit: Deposit) -> Deposit:
    """The deposit under its row lock, with what its verbs read."""
    rows = Deposit.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("client", "wallet", "currency").get(pk=deposit.pk)


def _note(receipt: Receipt) -> str:
    parts = [receipt.note] if receipt.note else []
    state = State(receipt.deposit.state)
    if state in Deposit.RESTING:
        ended = "it was cancelled" if state == State.CANCELLED else "its time had run out"
        parts.append(f"The money came after {ended}")
    asked = receipt.deposit.amount
    if receipt.amount != asked:
        digits = receipt.deposit.currency.exponent
        parts.append(f"{receipt.amount:,.{digits}f} came instead of {asked:,.{digits}f}")
    return ". ".join(parts)[:299] + "." if parts else ""


def _check_same(row: Deposit, amount: Decimal, external_id: str) -> None:
    if row.received != amount or (external_id and row.external_id != external_id[:128]):
        raise MoveNotAllowed("The deposit was completed by another payment.", field="id")


def _first(client: Client, key: str, content: str) -> Deposit | None:
    rows = Deposit.objects.select_related("client", "wallet", "currency")
    first = rows.filter(client=client, key=key).first()
    if first is not None and first.content_hash != content:
        raise KeyReused("This key was used before for something else.")
    return first


def _move(
    row: Deposit, state: str, event: str, *, by: By, at: datetime, note: str = "", reason: str = ""
) -> Deposit:
    check_may_move(row, state)
    row.state, row.changed_at = state, at
    if note:
        row.note = note[:300]
    row.save()
    _record(event, row, by=by, at=at, reason=reason)
    return row


def _record(name: str, row: Deposit, *, by: By, at: datetime, key: str = "", reason: str = "") -> None:
    events.record(
        name, subject_type=SUBJECT, subject_id=row.uuid, client_id=row.client.uuid, by=by, at=at, key=key, reason=reason,
        payload={"amount": row.amount, "currency": row.currency_id, "method": row.method, "state": row.state},
    )  # fmt: skip
