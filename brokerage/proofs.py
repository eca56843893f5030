"""The proof that an account's mirror says what the venue's statement says, the difference explained to the line."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from backoffice import events, keys
from backoffice.wake import wake
from backoffice.who import By
from brokerage import differences, statements
from brokerage.models import Difference, StatementProof, Trade, TradingAccount, VenueLine
from brokerage.translation import Clock
from ledger.models import Account

BY: Final = By.system("proofs")
SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Comparison:
    """The venue's balance and our mirror's at one moment, in the account's currency.

    `explained` is what lines and trades that only one side knows yet add up to; `unexplained` is the rest, which
    must be zero. `explanation` has a sentence, an amount and what it is about, per line.
    """

    venue: Decimal
    mirror: Decimal
    explained: Decimal
    explanation: list[dict[str, Any]]
    through: int | None
    lines: int

    @property
    def unexplained(self) -> Decimal:
        return self.venue - self.mirror - self.explained


def request(account: TradingAccount, *, by: By, at: datetime, key: str, reason: str) -> TradingAccount:
    """Have the account proved against the venue's statement now. Moves nothing; the same key asks once.

    :raises KeyReused: if the key was used on another account.
    """
    with transaction.atomic():
        keys.claim(by=by, verb="trading_account.prove", key=key, content=str(account.uuid), at=at)
        events.record(
            "trading_account.proof_requested",
            subject_type="trading_account",
            subject_id=account.uuid,
            client_id=account.client.uuid,
            by=by,
            at=at,
            reason=reason,
        )
        wake("trading.prove", account.pk)
    return account


def prove(account: TradingAccount, *, now: Clock) -> StatementProof:
    """Read the statement, compare it with the mirror, and keep the result. A rest nobody can explain is a difference.

    A difference that a later proof does not find goes away. Locks the trading account, then its cash account.

    :raises VenueError: if the venue cannot be asked; nothing is kept then.
    """
    statements.read(account, now=now)
    at = now()
    with transaction.atomic():
        found = compare(account)
        account = TradingAccount.objects.select_related("client", "currency").get(pk=account.pk)
        proof = StatementProof.objects.create(
            account=account,
            at=at,
            through=found.through,
            lines=found.lines,
            venue_balance=found.venue,
            mirror_balance=found.mirror,
            explained=found.explained,
            unexplained=found.unexplained,
            result=_result(found),
            explanation=found.explanation[:SHOWN],
        )
        listed = account.differences.filter(kind=Difference.Kind.BALANCE)
        if found.unexplained:
            differences.find(
                account=account, kind=Difference.Kind.BALANCE, about="balance", by=BY, at=at,
                sentence=f"The venue says {found.venue:,.2f}, our mirror {found.mirror:,.2f}; {found.unexplained:,.2f} "
                         "of it nobody can explain.",
                facts={"ours": f"{found.mirror:f}", "venues": f"{found.venue:f}", "unexplained": f"{found.unexplained:f}"},
            )  # fmt: skip
        else:
            differences.went_away(listed, by=BY, at=at)
        events.record(
            "trading_account.proved",
            subject_type="trading_account",
            subject_id=account.uuid,
            client_id=account.client.uuid,
            by=BY,
            at=at,
            payload={"result": proof.result, "venue": found.venue, "mirror": found.mirror, "unexplained": found.unexplained},
        )  # fmt: skip
    return proof


def compare(account: TradingAccount) -> Comparison:
    """The statement, as far as we have it, against the mirror, now. Changes nothing.

    Locks the trading account and its cash account, so that no line and no entry of it slips in between.
    """
    with transaction.atomic():
        account = TradingAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
        cash = Account.objects.select_for_update(no_key=True).get(pk=account.cash_id)
        last = account.venue_lines.order_by("transaction_id").last()
        explanation = [*_only_at_the_venue(account), *_only_with_us(account)]
        return Comparison(
            venue=last.balance_after if last is not None else cash.posted,
            mirror=cash.posted,
            explained=sum((Decimal(row["amount"]) for row in explanation), Decimal(0)),
            explanation=explanation,
            through=last.transaction_id if last is not None else None,
            lines=account.venue_lines.count(),
        )


def _result(found: Comparison) -> str:
    if found.unexplained:
        return StatementProof.Result.DIFFERS
    return StatementProof.Result.EXPLAINED if found.explanation else StatementProof.Result.EQUAL


def _only_at_the_venue(account: TradingAccount) -> list[dict[str, Any]]:
    """Lines of the statement our mirror has not booked, or books with another amount."""
    rows: list[dict[str, Any]] = []
    lines = account.venue_lines.filter(state__in=[VenueLine.State.WAITING, VenueLine.State.DIFFERS])
    for line in lines.select_related("trade").order_by("transaction_id"):
        amount, what = line.amount, "is not booked yet"
        if line.trade is not None:
            bought, ended = line.trade.buy_price or Decimal(0), line.trade.proceeds or Decimal(0)
            amount, what = (
                line.amount - (-bought if line.is_purchase else ended),
                "says another amount than our trade",
            )
        about = f" of contract {line.contract_id}" if line.contract_id is not None else ""
        rows.append(
            _row(f"The statement's {line.action}{about} {what}.", amount, line.trade, line.transaction_id)
        )
    return rows


def _only_with_us(account: TradingAccount) -> list[dict[str, Any]]:
    """What our mirror has booked for trades and the statement does not show yet."""
    rows: list[dict[str, Any]] = []
    trades = account.trades.filter(contract_id__isnull=False, confirmed_at__isnull=True)
    for trade in trades.prefetch_related("venue_lines").order_by("id"):
        told = {line.is_purchase for line in trade.venue_lines.all()}
        if True not in told:
            rows.append(_row(f"The purchase of contract {trade.contract_id} is not on the statement yet.",
                             trade.buy_price or Decimal(0), trade))  # fmt: skip
        if trade.state in Trade.SETTLED and False not in told:
            rows.append(_row(f"The end of contract {trade.contract_id} is not on the statement yet.",
                             -(trade.proceeds or Decimal(0)), trade))  # fmt: skip
    return rows


def _row(
    what: str, amount: Decimal, trade: Trade | None, transaction_id: int | None = None
) -> dict[str, Any]:
    return {
        "what": what,
        "amount": f"{amount:f}",
        "trade": str(trade.uuid) if trade is not None else None,
        "transaction": transaction_id,
    }
