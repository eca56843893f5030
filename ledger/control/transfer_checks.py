"""What must hold of transfers, quotes and adjustments, and what explains an entry of theirs."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection
from django.db.models import F

from backoffice.who import called
from compliance.models import Vote
from ledger import adjustments, transfers
from ledger.control.checks import live_subjects
from ledger.control.explain import Facts, agreed, explains
from ledger.control.invariants import Invariant, Offender, invariants
from ledger.models import Adjustment, Transfer

# What transfers took in of each currency less what they gave, beside what stands on the position accounts.
_POSITIONS = """
WITH moved AS (
    SELECT t.given_currency_id AS currency, sum(t.given) AS net FROM ledger_transfer t
    WHERE t.state = 'done' AND t.quote_id IS NOT NULL GROUP BY 1
    UNION ALL
    SELECT t.got_currency_id, -sum(t.got + q.spread) FROM ledger_transfer t JOIN ledger_quote q ON q.id = t.quote_id
    WHERE t.state = 'done' GROUP BY 1
), should AS (SELECT currency, sum(net) AS net FROM moved GROUP BY 1),
stands AS (
    SELECT currency_id AS currency, min(id) AS id, sum(posted) AS posted FROM ledger_account
    WHERE book = 'real' AND purpose = 'exchange' AND owner_type = '' GROUP BY 1
)
SELECT stands.id, coalesce(stands.currency, should.currency), coalesce(posted, 0), coalesce(net, 0)
FROM stands FULL JOIN should ON should.currency = stands.currency WHERE coalesce(posted, 0) <> coalesce(net, 0)"""


def _positions(at: datetime) -> Iterator[Offender]:
    with connection.cursor() as cursor:
        cursor.execute(_POSITIONS)
        for account, currency, posted, should in cursor.fetchall():
            said = f"{_short(posted)} {currency} stand there, exchanges explain {_short(should)}."
            yield Offender("ledger.account" if account else "", str(account or currency), said)


def _quotes(at: datetime) -> Iterator[Offender]:
    """The database has each used once; here the amounts are the quote's, and it was used in time."""
    rows = Transfer.objects.exclude(quote=None).exclude(
        quote__given=F("given"), quote__got=F("got"), quote__client=F("client"), quote__valid_until__gt=F("requested_at")
    )  # fmt: skip
    for row in rows.order_by("id")[:100]:
        yield Offender("ledger.transfer", str(row.pk), f"{row} is not what its quote says.", row.requested_at)


def _adjustments(at: datetime) -> Iterator[Offender]:
    """That an applied one has entry and approval says the database; here that somebody else agreed to it."""
    agreed = Vote.objects.filter(verdict=Vote.Verdict.APPROVE)
    rows = Adjustment.objects.filter(state=Adjustment.State.APPLIED)
    alone = rows.exclude(approval__in=agreed.values("approval")) | rows.filter(
        approval__votes__by_user=F("made_by_user"), approval__votes__verdict=Vote.Verdict.APPROVE
    )
    for row in alone.distinct().order_by("id")[:100]:
        yield Offender("ledger.adjustment", str(row.pk), "Nobody but its maker agreed to it.", row.changed_at)


def _short(amount: Decimal) -> str:
    return f"{amount.normalize():f}" if amount else "0"


def _waiting_transfers(ids: set[UUID]) -> set[UUID]:
    rows = Transfer.objects.filter(uuid__in=ids, state=Transfer.State.WAITING)
    return set(rows.values_list("uuid", flat=True))


def _explain_transfers(ids: set[UUID]) -> dict[UUID, Facts]:
    rows = transfers.whole().filter(uuid__in=ids).select_related("approval__policy")
    return {row.uuid: _transfer_facts(row) for row in rows.prefetch_related("approval__votes__by_user")}


def _transfer_facts(row: Transfer) -> Facts:
    facts: Facts = [("Reference", row.reference), ("Compliance", row.decision.get_outcome_display())]
    if row.quote is not None:
        facts += [
            ("Mid rate", f"{row.quote.mid.normalize():f}"), ("Rate", f"{row.quote.rate.normalize():f}"),
            ("We keep", f"{_short(row.quote.spread)} {row.got_currency_id}"), ("Quoted", f"{row.quote.quoted_at:%Y-%m-%d %H:%M:%S} UTC"),
        ]  # fmt: skip
    else:
        facts += [("From", str(row.client)), ("To", str(row.to_client))]
    return [fact for fact in facts + agreed(row.approval) if fact[1]]


def _explain_adjustments(ids: set[UUID]) -> dict[UUID, Facts]:
    return {
        row.uuid: [
            ("Category", str(row.category)), ("Reason", row.reason), ("Asked for by", called(row.made_by)),
            *agreed(row.approval),
        ]
        for row in adjustments.whole().filter(uuid__in=ids).select_related("approval__policy").prefetch_related("approval__votes__by_user")
    }  # fmt: skip


def register() -> None:
    """Add them to the ports; called once, at start-up."""
    invariants.register(
        "exchange_positions_explained",
        Invariant("What stands on exchange positions is what exchanges brought.", _positions), order=130,
    )  # fmt: skip
    invariants.register(
        "quotes_kept", Invariant("Every exchange is what its quote says, used in time.", _quotes), order=131
    )
    invariants.register(
        "adjustments_agreed", Invariant("Somebody other than its maker agreed to every adjustment.", _adjustments), order=132
    )  # fmt: skip
    live_subjects.register("transfer", _waiting_transfers)
    explains.register("transfer", _explain_transfers)
    explains.register("adjustment", _explain_adjustments)
