"""Beneficiaries: to which bank accounts and crypto addresses a client's money may go, and by which deposit's way back.

A number is checked when it is added (country, length, check digits, the bank behind it), kept encrypted, and never
changed: whoever changes where money goes adds another, which is paid to only after its cool-off.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from schwifty import BIC, IBAN
from schwifty.exceptions import SchwiftyException

from backoffice import events, keys, metrics
from backoffice.errors import DomainError, InvalidInput, KeyReused, NotFound
from backoffice.models import User
from backoffice.secrets import fingerprint
from backoffice.who import By
from compliance import clients
from compliance.models import Client
from ledger import crypto_addresses
from ledger.content import content_hash
from ledger.models import Beneficiary, Deposit, Method, WithdrawalRoute

SUBJECT = "beneficiary"


class WithdrawalNotOffered(DomainError):
    """Nothing is paid out by this method in this currency."""

    code = "WITHDRAWAL_NOT_OFFERED"
    field = "currency"


class BeneficiaryKnown(DomainError):
    """The client has this account or address already."""

    code = "BENEFICIARY_KNOWN"
    field = "number"


class BeneficiaryRemoved(DomainError):
    """The beneficiary was removed; nothing more is paid to it."""

    code = "BENEFICIARY_REMOVED"
    field = "beneficiary"


@metrics.verb("beneficiary.add")
def add(
    client: Client,
    *,
    method: str,
    currency: str,
    holder: str,
    number: str,
    by: By,
    at: datetime,
    key: str,
    bic: str = "",
    network: str = "",
) -> Beneficiary:
    """Save where a client's money may go. Nothing is paid to it before its cool-off is over, by our clock.

    `number` is an IBAN or an address; for a card or PayPal the reference of a deposit that came by it, to whose payer money then
    goes back, never more than came. `bic` is looked up where the country's banks are known and none is given.
    `network` is a crypto currency's own where it has one alone. The same key with the same content returns the first.

    :raises WithdrawalNotOffered: if nothing is paid out by this method in this currency.
    :raises InvalidInput: if the holder, IBAN, BIC, address or network is not one; `field` says which.
    :raises BeneficiaryKnown: if the client has it already. :raises KeyReused: if the key was used for something else.
    """
    keys.check(key)
    route = WithdrawalRoute.objects.filter(method=method, currency=currency, is_active=True).first()
    if route is None:
        raise WithdrawalNotOffered(f"Nothing is paid out in {currency[:12]} that way.")
    holder = " ".join(holder.split())
    if not 2 <= len(holder) <= 70 or not holder.isprintable():
        raise InvalidInput("A holder has 2 to 70 printable characters.", field="holder")
    row = Beneficiary(
        client=client, method=method, currency_id=currency, holder=holder, added_at=at, added_by=by.name, key=key,
        usable_at=at + timedelta(hours=route.cool_off_hours),
    )  # fmt: skip
    if method == Method.BANK:
        _bank(row, number, bic)
    elif method in (Method.CARD, Method.PAYPAL):
        _way_back(row, number)
    else:
        row.network, row.number = crypto_addresses.checked(currency, network, number)
        row.hint = f"{row.number[:6]}…{row.number[-4:]}"
    row.fingerprint = fingerprint("beneficiary", f"{row.network}:{row.number}")
    row.content_hash = content_hash("beneficiary", method, currency, holder, row.fingerprint, row.bic)
    if (first := _first(row)) is not None:
        return first
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            _record("beneficiary.added", row, by=by, at=at, key=key, method=method, usable_at=row.usable_at)
    except IntegrityError as found:
        if "beneficiary_number_once" in str(found):
            raise BeneficiaryKnown("You have this beneficiary already.") from None
        if "beneficiary_key_once" in str(found) and (first := _first(row)) is not None:
            return first  # two requests with one key at the same time: the second finds the first one's row
        raise
    return row


def remove(beneficiary: Beneficiary, *, by: By, at: datetime, reason: str = "") -> Beneficiary:
    """Have nothing more paid to it; what was asked for before goes on. Removed again, nothing changes. Locks it."""
    with transaction.atomic():
        rows = Beneficiary.objects.select_for_update(of=("self",), no_key=True).select_related("client")
        row = rows.get(pk=beneficiary.pk)
        if row.removed_at is None:
            row.removed_at = at
            row.save(update_fields=["removed_at"])
            _record("beneficiary.removed", row, by=by, at=at, reason=reason)
    return row


def of_user(user: User, public_id: UUID, *, field: str = "beneficiary") -> Beneficiary:
    """One of this user's beneficiaries, with their role (`clients.check_role`).

    :raises NotFound: if there is none with this id, or it is somebody else's.
    """
    rows = Beneficiary.objects.of_user(user).select_related("client", "currency")
    try:
        found: Beneficiary = clients.with_role(rows).get(uuid=public_id)
    except Beneficiary.DoesNotExist:
        raise NotFound("There is no such beneficiary.", field=field) from None
    return found


def _bank(row: Beneficiary, number: str, bic: str) -> None:
    try:
        iban = IBAN(number, validate_bban=True)
    except SchwiftyException as found:
        raise InvalidInput(f"That is no IBAN: {_why(found)}.", field="number") from None
    try:
        bank = BIC(bic) if bic.strip() else iban.bic
    except SchwiftyException as found:
        raise InvalidInput(f"That is no BIC: {_why(found)}.", field="bic") from None
    if bank is not None and bic.strip() and iban.bic is not None and str(bank)[:8] != str(iban.bic)[:8]:
        raise InvalidInput("This BIC is another bank's than the IBAN's.", field="bic")
    row.number, row.hint = str(iban), f"{iban.country_code}…{str(iban)[-4:]}"
    row.country, row.bic = iban.country_code, str(bank) if bank is not None else ""
    row.bank_name = (iban.bank_name or "")[:140]


def _way_back(row: Beneficiary, number: str) -> None:
    deposit = Deposit.objects.filter(
        client=row.client, method=row.method, currency=row.currency_id, reference=number.strip().upper()
    ).first()  # fmt: skip
    if deposit is None or deposit.state != Deposit.State.COMPLETED or not deposit.collector:
        raise InvalidInput("No money of yours came that way under this reference.", field="number")
    row.deposit, row.number, row.hint = deposit, deposit.reference, deposit.reference


def _why(found: SchwiftyException) -> str:
    text = str(found).strip().rstrip(".").lower()
    return text or "it does not check"


def _first(row: Beneficiary) -> Beneficiary | None:
    first = Beneficiary.objects.filter(client=row.client, key=row.key).select_related("client").first()
    if first is not None and first.content_hash != row.content_hash:
        raise KeyReused("This key was used before for something else.")
    return first


def _record(
    name: str, row: Beneficiary, *, by: By, at: datetime, key: str = "", reason: str = "", **payload: object
) -> None:
    events.record(
        name, subject_type=SUBJECT, subject_id=row.uuid, client_id=row.client.uuid, by=by, at=at, key=key, reason=reason,
        payload={"currency": row.currency_id, **payload},  # type: ignore[dict-item]
    )  # fmt: skip
