"""Quotes: what a client gets for their money in another currency, promised for some seconds. Nothing moves by one."""

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q

from backoffice import events, metrics
from backoffice.errors import DomainError, InvalidInput, NotFound
from backoffice.models import Currency, User
from backoffice.money import parse_amount
from backoffice.who import By
from compliance import clients
from compliance.models import Client
from ledger import exchange, rates
from ledger.models import Quote, Spread


class ExchangeNotOffered(DomainError):
    """Nothing is exchanged between these currencies."""

    code = "EXCHANGE_NOT_OFFERED"
    field = "currency"


class NothingGot(DomainError):
    """The amount is so small that nothing would come of it in the other currency."""

    code = "NOTHING_GOT"
    field = "amount"


@metrics.verb("quote.make")
def quote(client: Client, *, given: str, got: str, amount: str | Decimal, by: By, at: datetime) -> Quote:
    """Promise what `amount` of one currency brings in another, until QUOTE_SECONDS after `at`. Asked again, it is another.

    `amount` is exact; what is got is the amount at the newest mid rate less the spread, rounded down to its currency's
    exponent (`ledger.exchange`). Neither balance nor limits are looked at. Locks nothing.

    :raises ExchangeNotOffered: if a currency is not in use, they are the same, or no spread is set for them.
    :raises InvalidAmount: if the amount is not one. :raises InvalidInput: if it is not above zero.
    :raises NoFreshRate: if there is no rate young enough. :raises NothingGot: if it is too small.
    """
    known = {row.code: row for row in Currency.objects.filter(code__in=[given, got], is_active=True)}
    spread = spread_of(given, got)
    if len(known) != 2 or spread is None:
        raise ExchangeNotOffered(f"Nothing is exchanged from {given[:12]} to {got[:12]} here.")
    value = parse_amount(amount, exponent=known[given].exponent, field="amount")
    if value <= 0:
        raise InvalidInput("The amount is above zero.", field="amount")
    found = rates.fresh(given, got, at=at)
    made = exchange.exchanged(
        value, mid=found.mid, spread_bps=spread.spread_bps, least=spread.least, exponent=known[got].exponent
    )
    if not made.got:
        raise NothingGot(f"That is too little to be exchanged to {got}.")
    row = Quote.objects.create(
        client=client, exchange_rate=found.row, given_currency=known[given], got_currency=known[got], given=value,
        got=made.got, spread=made.spread, mid=exchange.shown(found.mid), rate=made.rate, quoted_at=at,
        valid_until=at + timedelta(seconds=settings.CONFIG.quote_seconds),
    )  # fmt: skip
    events.record(
        "quote.made", subject_type="quote", subject_id=row.uuid, client_id=client.uuid, by=by, at=at,
        payload={"given": row.given, "given_currency": given, "got": row.got, "got_currency": got, "spread": row.spread,
                 "rate": found.row.uuid, "valid_until": row.valid_until},
    )  # fmt: skip
    return row


def spread_of(given: str, got: str) -> Spread | None:
    """The spread in use for an exchange: of the two currencies, else of any. One question."""
    rows = Spread.objects.filter(Q(given=given, got=got) | Q(given=None), is_active=True)
    return rows.order_by(F("given").asc(nulls_last=True)).first()


def of_user(user: User, public_id: UUID) -> Quote:
    """One of this user's quotes, with their role (`clients.check_role`).

    :raises NotFound: if there is none with this id, or it is somebody else's.
    """
    rows = Quote.objects.of_user(user).select_related("client", "given_currency", "got_currency")
    try:
        found: Quote = clients.with_role(rows).get(uuid=public_id)
    except Quote.DoesNotExist:
        raise NotFound("There is no such quote.", field="quote") from None
    return found
