"""Coins that come in: each client's address at the custodian, what arrives there, and when it is the client's.

The custodian tells of changes in order; each is applied once, in the transaction that moves the cursor. Coins are credited
when enough blocks bury them, through `deposits.complete`: never twice, since a transaction's output is one row and its
deposit one entry. What a chain forgets before that is dropped; what it forgets afterwards waits for a person.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import IntegrityError, transaction

from backoffice import events, keys, metrics
from backoffice.errors import DomainError, InvalidInput, MoveNotAllowed
from backoffice.who import By
from compliance.models import Client
from ledger import accounts, crypto_addresses, deposits, journal
from ledger.custodian import client as custodian
from ledger.custody import custody
from ledger.deposits import DepositNotOffered
from ledger.models import (
    Account,
    Book,
    CoinArrival,
    CoinRoute,
    CustodianCursor,
    Deposit,
    DepositAddress,
    Method,
)
from ledger.providers.port import ProviderError

State = CoinArrival.State
Clock = Callable[[], datetime]
BY: Final = By.system("coins")
SUBJECT: Final = "coin_arrival"
CURSOR: Final = "changes"
_log = logging.getLogger(__name__)


class CustodianAway(DomainError):
    """The custodian of coins does not answer; it is asked again later."""

    code = "CUSTODIAN_AWAY"


@metrics.verb("coins.address")
def address_for(client: Client, currency: str, network: str = "", *, by: By, at: datetime) -> DepositAddress:
    """The one address a client sends coins of a currency to over a network; asked of the custodian the first time.

    Without a network the first that is offered. Asked again, or by two at once, the same. Not to be called in a
    transaction: the custodian is waited for.

    :raises DepositNotOffered: if coins of this currency are not taken over this network.
    :raises CustodianAway: if there is no address yet and the custodian gives none.
    """
    routes = CoinRoute.objects.filter(currency=currency, is_active=True, currency__is_active=True).order_by(
        "id"
    )
    route = (routes.filter(network=network) if network else routes).first()
    if route is None or not custodian.is_there():
        raise DepositNotOffered(f"Coins of {currency[:12]} are not taken that way.")
    mine = DepositAddress.objects.filter(client=client, currency=currency, network=route.network)
    if (found := mine.first()) is not None:
        return found
    try:
        given = custodian.address(str(client.uuid), currency, route.network)
        _, checked = crypto_addresses.checked(currency, route.network, given)
    except (ProviderError, InvalidInput) as problem:
        _log.error("the custodian gave no address of %s: %s", route.network, problem)
        raise CustodianAway("There is no address at the moment. Try again in a few minutes.") from problem
    try:
        with transaction.atomic():
            row = DepositAddress.objects.create(
                client=client, currency_id=currency, network=route.network, address=checked, given_at=at
            )
            events.record(
                "address.given", subject_type="deposit_address", subject_id=row.uuid, client_id=client.uuid, by=by, at=at,
                payload={"currency": currency, "network": route.network},
            )  # fmt: skip
    except IntegrityError as problem:
        if (found := mine.first()) is None:
            raise
        _log.info("two asked for an address at once: %s", type(problem).__name__)
        return found
    return row


def read(*, now: Clock) -> int:
    """Read what the custodian tells since the last time, and credit what is buried deep enough. How many changes there were.

    Two at once apply each page once. :raises ProviderError: if it does not answer; what was read before stands.
    """
    many = 0
    while True:
        cursor, _ = CustodianCursor.objects.get_or_create(name=CURSOR, defaults={"read_at": now()})
        page = custodian.changes(cursor.change)
        with transaction.atomic():
            locked = CustodianCursor.objects.select_for_update(no_key=True).get(pk=CURSOR)
            if locked.change != cursor.change:
                return many  # another has read this page already
            for change in page.rows:
                _apply(change, at=now())
            locked.change = max([locked.change, *(change.number for change in page.rows)])
            if page.is_last:
                locked.heights = (
                    page.heights
                )  # before that they would bury coins of which the end is not read yet
            locked.read_at = now()
            locked.save()
        many += len(page.rows)
        if page.is_last:
            credit_due(page.heights, at=now())
            return many


def credit_due(heights: dict[str, int], *, at: datetime) -> int:
    """Credit what enough blocks bury when the chains are so high; how many. A refusal stands on its row; the others go on."""
    done = 0
    rows = CoinArrival.objects.filter(state=State.CONFIRMING).select_related("address").order_by("id")
    for row in rows:
        if row.confirmations(heights.get(row.address.network, 0)) < row.needed:
            continue
        try:
            credit(row, height=heights[row.address.network], at=at)
            done += 1
        except DomainError as found:
            CoinArrival.objects.filter(pk=row.pk).update(problem=found.message[:300])
    return done


@metrics.verb("coins.credit")
def credit(arrival: CoinArrival, *, height: int, at: datetime) -> CoinArrival:
    """Credit coins that enough blocks bury, by a deposit of their own or the one that waits for just this amount.

    Fewer than the route's least are booked beside the wallets, and stay there with their reason. Again, nothing changes.
    Locks the arrival, then the deposit, then the accounts.

    :raises MoveNotAllowed: if it is in no block, or not deep enough. Also the refusals of `deposits.create`.
    """
    with transaction.atomic():
        row = _locked(arrival)
        if row.state in (State.CREDITED, State.TOO_SMALL):
            return row
        check_may_move(row, State.CREDITED)
        if row.confirmations(height) < row.needed:
            raise MoveNotAllowed(f"Only {row.confirmations(height)} of {row.needed} blocks bury it.")
        least = _least(row.address)
        if row.amount < least:
            row.problem = f"At least {least.normalize():f} {row.address.currency_id} is credited."
            row.entry_id = _book_beside(row, at=at)
            return _move(row, State.TOO_SMALL, "coins.too_small", at=at)
        return _credit(row, source=custody(row.address.currency_id), by=BY, at=at)


def credit_all_the_same(arrival: CoinArrival, *, by: By, at: datetime, key: str, reason: str) -> CoinArrival:
    """Credit coins that were too few, which a person decides. The same key again changes nothing.

    :raises InvalidInput: without a reason. :raises MoveNotAllowed: if they are not booked beside the wallets.
    """
    with transaction.atomic():
        row = _locked(arrival)
        if _is_done(row, "coins.credit", by=by, at=at, key=key, reason=reason):
            return row
        check_may_credit(row)
        row.problem = ""
        return _credit(row, source=beside(row.address.currency_id), by=by, at=at, reason=reason)


def check_may_credit(arrival: CoinArrival) -> None:
    """:raises MoveNotAllowed: if they are not coins that were too few."""
    if arrival.state != State.TOO_SMALL:
        raise MoveNotAllowed(f"The coins are: {arrival.get_state_display().lower()}.")


def close(arrival: CoinArrival, *, by: By, at: datetime, key: str, reason: str) -> CoinArrival:
    """Say how coins were made good that a chain forgot after they were booked. Nothing is posted. The same key: nothing.

    :raises InvalidInput: without a reason. :raises MoveNotAllowed: if nothing is lost.
    """
    with transaction.atomic():
        row = _locked(arrival)
        if _is_done(row, "coins.close", by=by, at=at, key=key, reason=reason):
            return row
        check_may_move(row, State.CLOSED)
        row.problem = reason.strip()[:300]
        return _move(row, State.CLOSED, "coins.closed", by=by, at=at, reason=reason)


def beside(currency: str) -> Account:
    """Coins that are with the custodian, and were too few to be credited."""
    return accounts.house(Book.REAL, currency, "coins_beside", Account.Kind.LIABILITY)


def check_may_move(arrival: CoinArrival, state: str) -> None:
    """:raises MoveNotAllowed: if it cannot go from its state to this one."""
    if state not in CoinArrival.MOVES[State(arrival.state)]:
        raise MoveNotAllowed(f"The coins are: {arrival.get_state_display().lower()}.")


def _apply(change: custodian.Change, *, at: datetime) -> None:
    """One change of the custodian's, which may be told again: an older one than the row has seen changes nothing."""
    rows = CoinArrival.objects.select_for_update(of=("self",), no_key=True).select_related("address__client")
    row = rows.filter(txid=change.txid, output=change.output).first()
    if row is None:
        where = DepositAddress.objects.select_related("client").filter(address=change.address).first()
        if where is None or (where.currency_id, where.network) != (change.currency, change.network):
            _log.warning("coins came to an address that no client of ours has")
            return
        row = CoinArrival(
            address=where, txid=change.txid, output=change.output, amount=change.amount, change=change.number, seen_at=at,
            changed_at=at, needed=_needed(where),
        )  # fmt: skip
        row.save(force_insert=True)
        _record("coins.seen", row, by=BY, at=at)
    elif row.change >= change.number:
        return
    row.change = change.number
    booked = row.state in (State.CREDITED, State.TOO_SMALL, State.LOST)
    if row.state == State.CLOSED:
        row.save()
    elif booked and change.state != "mined":
        row.height, row.problem = None, "The chain forgot it after it was booked."
        _move_if(row, State.LOST, "coins.lost", at=at)
    elif booked:
        row.height, row.problem = change.height, "" if row.deposit_id else row.problem
        _move_if(row, State.CREDITED if row.deposit_id else State.TOO_SMALL, "coins.back", at=at)
    elif change.state == "mined":
        row.height, row.problem = change.height, ""
        _move_if(row, State.CONFIRMING, "coins.mined", at=at)
    elif change.state == "dropped":
        row.height, row.problem = None, "The chain has no block with it any more."
        _move_if(row, State.DROPPED, "coins.dropped", at=at)
    else:
        row.height, row.problem = None, ""
        _move_if(row, State.SEEN, "coins.unmined", at=at)


def _credit(row: CoinArrival, *, source: Account, by: By, at: datetime, reason: str = "") -> CoinArrival:
    where = row.address
    waiting = Deposit.objects.filter(
        client=where.client, method=Method.CRYPTO, currency=where.currency_id, amount=row.amount, state=Deposit.State.PENDING
    )  # fmt: skip
    deposit = waiting.order_by("id").first() or deposits.create(
        where.client, method=Method.CRYPTO, currency=where.currency_id, amount=row.amount, by=by, at=at,
        key=f"coins-{row.uuid}",
    )  # fmt: skip
    row.deposit = deposits.complete(
        deposit, amount=row.amount, source=source, external_id=row.external_id, by=by, at=at
    )
    row.problem = ""
    return _move(row, State.CREDITED, "coins.credited", by=by, at=at, reason=reason)


def _book_beside(row: CoinArrival, *, at: datetime) -> int | None:
    where = row.address
    return journal.post(
        kind="coins_beside", by=BY, at=at, key=f"coins:{row.uuid}:beside", subject=(SUBJECT, row.uuid),
        lines=[journal.debit(custody(where.currency_id), row.amount), journal.credit(beside(where.currency_id), row.amount)],
        narration="Too few coins to be credited", client_id=where.client.uuid,
    ).entry_id  # fmt: skip


def _is_done(row: CoinArrival, verb: str, *, by: By, at: datetime, key: str, reason: str) -> bool:
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    is_known = keys.is_claimed(by=by, verb=verb, key=key)
    keys.claim(by=by, verb=verb, key=key, content=str(row.uuid), at=at)
    return is_known


def _needed(where: DepositAddress) -> int:
    """What the route says now; of one that was taken away, what it said last."""
    found = _route(where)
    return found.confirmations if found else 1


def _least(where: DepositAddress) -> Decimal:
    found = _route(where)
    return found.least if found else Decimal(0)


def _route(where: DepositAddress) -> CoinRoute | None:
    rows = CoinRoute.objects.filter(currency=where.currency_id, network=where.network)
    return rows.order_by("-is_active", "-id").first()


def _locked(arrival: CoinArrival) -> CoinArrival:
    rows = CoinArrival.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("address__client", "address__currency").get(pk=arrival.pk)


def _move_if(row: CoinArrival, state: str, event: str, *, at: datetime) -> None:
    """Move it unless it is there already; what else changed of it is kept either way."""
    if row.state == state:
        row.save()
    else:
        _move(row, state, event, at=at)


def _move(
    row: CoinArrival, state: str, event: str, *, at: datetime, by: By = BY, reason: str = ""
) -> CoinArrival:
    check_may_move(row, state)
    row.state, row.changed_at = state, at
    row.save()
    _record(event, row, by=by, at=at, reason=reason)
    return row


def _record(name: str, row: CoinArrival, *, by: By, at: datetime, reason: str = "") -> None:
    payload: dict[str, Any] = {
        "amount": row.amount, "currency": row.address.currency_id, "network": row.address.network, "state": row.state,
        "height": row.height,
    }  # fmt: skip
    events.record(
        name, subject_type=SUBJECT, subject_id=row.uuid, client_id=row.address.client.uuid, by=by, at=at, reason=reason,
        payload=payload,
    )  # fmt: skip
