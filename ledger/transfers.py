"""Transfers: a client's money to another client, or into another currency of their own at a quoted rate.

Each is one entry. What compliance wants looked at is held until somebody agrees. Locked in this order: the client, the
transfer, its approval, then the ledger's accounts.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from backoffice import events, keys, metrics
from backoffice.database import uuid7
from backoffice.errors import DomainError, InvalidInput, KeyReused, MoveNotAllowed
from backoffice.models import Currency
from backoffice.money import parse_amount
from backoffice.who import By
from compliance import approvals, decisions
from compliance.decisions import Asked
from compliance.models import Approval, Client, Movement
from ledger import accounts, holds, journal, references, transfer_codes
from ledger.accounts import Purpose
from ledger.content import content_hash
from ledger.models import Account, Book, Quote, Transfer
from ledger.wallets import purpose

State = Transfer.State
SUBJECT: Final = "transfer"
# What verbs and pages read beside a transfer.
RELATED: Final = (
    "client", "to_client", "from_wallet", "to_wallet", "given_currency", "got_currency", "quote", "hold", "decision",
)  # fmt: skip


class QuoteExpired(DomainError):
    """The quote's time is over; ask for another."""

    code = "QUOTE_EXPIRED"
    field = "quote"


class QuoteUsed(DomainError):
    """The quote was used before; each is good for one transfer."""

    code = "QUOTE_USED"
    field = "quote"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for, before compliance has said anything. `to` is the other client's code; empty: one's own wallet."""

    client: Client
    to: str
    given: tuple[Decimal, Currency]
    got: tuple[Decimal, Currency]
    quote: Quote | None = None


@metrics.verb("transfer.exchange")
def exchange(quote: Quote, *, by: By, at: datetime, key: str) -> Transfer:
    """Use a quote: what it gives leaves one wallet, what it promised is in the other, by one entry; or it waits, held.

    Compliance decides in the same transaction: *allowed* is done at once; *to be looked at* waits for at least one
    person, the money held, at the rate of the quote; *blocked* is stored as blocked and moves nothing. In each case the
    quote is used. The same key again is the same transfer. Whether the quote still holds is said by `at`.

    :raises QuoteExpired: if its time is over. :raises QuoteUsed: if another transfer used it.
    :raises InsufficientFunds: if less is available. :raises KeyReused: if the key was used for something else.
    """
    given = (quote.given, quote.given_currency)
    wanted = _Wanted(quote.client, "", given, (quote.got, quote.got_currency), quote)
    return _ask(wanted, content_hash("exchange", str(quote.uuid)), by=by, at=at, key=key)


@metrics.verb("transfer.send")
def send(
    client: Client, *, to: str, currency: str, amount: str | Decimal, by: By, at: datetime, key: str
) -> Transfer:
    """Send money to the client with this transfer code, in the same currency. Compliance decides as for `exchange`.

    `amount` is exact. The same key with the same content is the same transfer.

    :raises RecipientUnknown: if nobody can be sent money under this code: unknown, oneself, or not active, all alike.
    :raises InvalidAmount: if the amount is not one. :raises InvalidInput: if it is not above zero, or the currency none.
    :raises InsufficientFunds: if less is available. :raises KeyReused: if the key was used for something else.
    """
    unit = Currency.objects.filter(code=currency, is_active=True).first()
    if unit is None:
        raise InvalidInput(f"“{currency[:12]}” is not a currency in use.", field="currency")
    value = parse_amount(amount, exponent=unit.exponent, field="amount")
    if value <= 0:
        raise InvalidInput("The amount is above zero.", field="amount")
    content = content_hash("send", transfer_codes.tidied(to), currency, f"{value:f}")
    wanted = _Wanted(client, to, (value, unit), (value, unit))
    return _ask(wanted, content, by=by, at=at, key=key)


def cancel(transfer: Transfer, *, by: By, at: datetime, reason: str) -> Transfer:
    """Call off one that waits: what is held is free again, its approval ends. Again, nothing changes. Locks the transfer.

    :raises MoveNotAllowed: if it is over.
    """
    with transaction.atomic(), events.together():
        row = locked(transfer.pk)
        if row.state == State.CANCELLED:
            return row
        check_may_move(row, State.CANCELLED)
        approvals.void(SUBJECT, row, by=by, at=at, reason="The transfer was called off.")
        _give_back(row, by=by, at=at)
        return _move(row, State.CANCELLED, "transfer.cancelled", by=by, at=at, reason=reason)


def agreed(row: Transfer, *, approval: Approval, by: By, at: datetime) -> None:
    """Everybody who must agree has: the money moves. For the approval engine, which holds the lock."""
    check_may_move(row, State.DONE)
    row.approval, row.told, row.problem = approval, "", ""
    _post(row, by=by, at=at)
    _move(row, State.DONE, "transfer.done", by=by, at=at)
    _tell_recipient(row, by=by, at=at)


def refused(row: Transfer, *, approval: Approval, reason: str, by: By, at: datetime) -> None:
    """Somebody said no, or nobody decided in time: the money is free again. For the approval engine, which holds the lock."""
    check_may_move(row, State.REJECTED)
    row.approval, row.problem = approval, reason.strip()[:300]
    row.told = "We could not do this. Your money is available again."
    _give_back(row, by=by, at=at)
    _move(row, State.REJECTED, "transfer.rejected", by=by, at=at, reason=reason)


def draft_of(row: Transfer, *, at: datetime) -> journal.Draft:
    """The one entry of a transfer. Between currencies both legs go over our position accounts at the mid rate, and what
    we keep is a line of its own. What is held for it is captured."""
    lines = [journal.debit(row.from_wallet_id, row.given)]
    if row.quote is not None:
        given, got = row.given_currency_id, row.got_currency_id
        took, gave, kept = accounts.open_all([_position(given), _position(got), _spread(got)])
        lines.append(journal.credit(took, row.given))
        lines.append(journal.debit(gave, row.got + row.quote.spread))
        if row.quote.spread:
            lines.append(journal.credit(kept, row.quote.spread))
    lines.append(journal.credit(row.to_wallet_id, row.got))
    return journal.Draft(
        kind="exchange" if row.is_exchange else "transfer", lines=lines, at=at, key=f"transfer:{row.uuid}:done",
        reference=row.reference, narration=str(row), subject=(SUBJECT, row.uuid), client_id=row.client.uuid,
        captures=[(row.hold, row.given)] if row.hold is not None else (),
    )  # fmt: skip


def position(currency: str) -> Account:
    """What we took in of a currency by exchanging it, less what we gave: above zero we have more of it than before.

    Equity: each currency's balance sheet stays whole, and neither assets nor debts grow by money that only changed
    currency.
    """
    return accounts.open_all([_position(currency)])[0]


def spread_account(currency: str) -> Account:
    """What exchanges bring us."""
    return accounts.open_all([_spread(currency)])[0]


def check_may_move(transfer: Transfer, state: str) -> None:
    """:raises MoveNotAllowed: if it cannot go from its state to this one."""
    if state not in Transfer.MOVES[State(transfer.state)]:
        raise MoveNotAllowed(f"The transfer is: {transfer.get_state_display().lower()}.", field="id")


def locked(pk: int) -> Transfer:
    """The transfer under its row lock, with what its verbs read."""
    found: Transfer = whole().select_for_update(of=("self",), no_key=True).get(pk=pk)
    return found


def whole() -> Any:
    """Transfers with what their verbs and pages read."""
    return Transfer.objects.select_related(*RELATED)


def _ask(wanted: _Wanted, content: str, *, by: By, at: datetime, key: str) -> Transfer:
    """Decide and do, under the client's lock: the second of two at once finds the key, the quote and the room taken."""
    keys.check(key)
    with transaction.atomic(), events.together():
        client = Client.objects.select_for_update(of=("self",), no_key=True).get(pk=wanted.client.pk)
        if (first := _first(client, key, content)) is not None:
            return first
        if wanted.quote is not None:
            _check_quote(wanted.quote, at)
        to_client = transfer_codes.find(wanted.to, sender=client) if wanted.quote is None else client
        (given, given_in), (got, got_in) = wanted.given, wanted.got
        leaves, reaches = accounts.open_all(
            [purpose(client.uuid, given_in.code), purpose(to_client.uuid, got_in.code)], at=at
        )
        row = Transfer(
            uuid=uuid7(), client=client, to_client=to_client, from_wallet=leaves, to_wallet=reaches, given=given,
            given_currency=given_in, got=got, got_currency=got_in, quote=wanted.quote,
            reference=references.unused(Transfer), key=key, content_hash=content, requested_at=at, changed_at=at,
        )  # fmt: skip
        asked = Asked(Movement.TRANSFER, client, given_in.code, given, (SUBJECT, row.uuid))
        row.decision = decisions.decide_new(asked, by=by, at=at)
        row.told = row.decision.told[:300]
        row.problem = " ".join(reason["message"] for reason in row.decision.reasons)[:300]
        _begin(row, by=by, at=at, key=key)
    return of_pk(row.pk)


def _begin(row: Transfer, *, by: By, at: datetime, key: str) -> None:
    """Go where the decision leads, and keep the row."""
    match row.decision.outcome:
        case "allow":
            row.state = State.DONE
            _post(row, by=by, at=at)
        case "review":
            row.state = State.WAITING
            row.hold = holds.place(
                account=row.from_wallet, amount=row.given, purpose=SUBJECT, by=by, at=at, key=f"transfer:{row.uuid}:hold",
                subject=(SUBJECT, row.uuid), client_id=row.client.uuid,
            ).hold  # fmt: skip
        case _:
            row.state = State.BLOCKED
    row.save(force_insert=True)
    _record(f"transfer.{_EVENTS[State(row.state)]}", row, by=by, at=at, key=key)
    if row.state == State.DONE:
        _tell_recipient(row, by=by, at=at)
    if row.state == State.WAITING:
        approvals.request(
            SUBJECT, row, amount=row.given, currency=row.given_currency_id, client=row.client, at_least=1, by=by, at=at,
            is_new=True,
        )  # fmt: skip


_EVENTS: Final = {State.DONE: "done", State.WAITING: "requested", State.BLOCKED: "blocked"}


def _position(currency: str) -> Purpose:
    return accounts.of_house(Book.REAL, currency, "exchange", Account.Kind.EQUITY)


def _spread(currency: str) -> Purpose:
    return accounts.of_house(Book.REAL, currency, "exchange_spread", Account.Kind.INCOME)


def _post(row: Transfer, *, by: By, at: datetime) -> None:
    row.entry_id = journal.post_many([draft_of(row, at=at)], by=by)[0].entry_id


def _check_quote(quote: Quote, at: datetime) -> None:
    """What the client's lock keeps from changing: quotes are used under it, and unique among transfers besides."""
    if Transfer.objects.filter(quote=quote).exists():
        raise QuoteUsed("This quote was used before. Ask for another.")
    if at >= quote.valid_until:
        raise QuoteExpired("This quote has run out. Ask for another.")


def _give_back(row: Transfer, *, by: By, at: datetime) -> None:
    """What was held is free, and takes no room of the client's limits any more."""
    if row.hold is not None:
        row.hold = holds.release(row.hold, by=by, at=at).hold
    decisions.release((SUBJECT, row.uuid), by=by, at=at)


def of_pk(pk: int) -> Transfer:
    """The transfer as it is now, with what its pages read."""
    found: Transfer = whole().get(pk=pk)
    return found


def _first(client: Client, key: str, content: str) -> Transfer | None:
    first: Transfer | None = whole().filter(client=client, key=key).first()
    if first is not None and first.content_hash != content:
        raise KeyReused("This key was used before for something else.")
    return first


def _move(row: Transfer, state: str, event: str, *, by: By, at: datetime, reason: str = "") -> Transfer:
    check_may_move(row, state)
    was, row.state, row.changed_at = row.state, state, at
    row.save()
    _record(event, row, by=by, at=at, reason=reason, was=was)
    return row


def _tell_recipient(row: Transfer, *, by: By, at: datetime) -> None:
    """An event of the recipient's own: theirs is another wallet, which somebody may be watching."""
    if row.to_client_id != row.client_id:
        events.record(
            "transfer.received", subject_type=SUBJECT, subject_id=row.uuid, client_id=row.to_client.uuid, by=by, at=at,
            payload={"got": row.got, "got_currency": row.got_currency_id},
        )  # fmt: skip


def _record(
    name: str, row: Transfer, *, by: By, at: datetime, key: str = "", reason: str = "", **payload: Any
) -> None:
    events.record(
        name, subject_type=SUBJECT, subject_id=row.uuid, client_id=row.client.uuid, by=by, at=at, key=key, reason=reason,
        payload={"given": row.given, "given_currency": row.given_currency_id, "got": row.got,
                 "got_currency": row.got_currency_id, "to": row.to_client.uuid, "state": row.state, **payload},
    )  # fmt: skip
