"""A person's decision that the venue's statement is right: our mirror and the trade are brought to it, line by line."""

from datetime import datetime
from decimal import Decimal

from backoffice.who import By
from brokerage import differences, entries, pricing, proofs, statements, trades
from brokerage.models import Difference, Trade, VenueLine
from ledger import journal


def correct(difference: Difference, *, by: By, at: datetime, key: str, reason: str) -> Difference:
    """Bring our books to the venue's statement, as the difference shows them, in one journal entry.

    A trade bought or ended otherwise takes the statement's figure; a balance that differs takes the venue's, by what
    the newest proof cannot explain. Locks the trade, then the difference, then the ledger accounts.

    :raises AlreadyResolved: if somebody decided this difference before.
    :raises NotAChoice: if this kind of difference is not decided like this.
    """
    corrected = Difference.Resolution.CORRECTED
    with differences.deciding(difference, corrected, by=by, at=at, key=key, reason=reason) as row:
        if row.kind == Difference.Kind.BALANCE:
            _correct_balance(row, by=by, at=at)
        else:
            _correct_trade(row, by=by, at=at)
    return row


def change(difference: Difference) -> Decimal:
    """What a correction adds to the mirror's cash (less than zero: takes from it), in the account's currency."""
    if difference.kind == Difference.Kind.BALANCE:
        return proofs.compare(difference.account).unexplained
    trade, line = difference.trade, difference.line
    assert trade is not None and line is not None
    told: Decimal = line.amount
    return (
        told + (trade.buy_price or Decimal(0)) if line.is_purchase else told - (trade.proceeds or Decimal(0))
    )


def _correct_balance(row: Difference, *, by: By, at: datetime) -> None:
    amount = change(row)
    if amount:
        draft = entries.of_correction(
            row.account, amount, against_stakes=False, key=f"difference:{row.uuid}", at=at,
            narration="Corrected to the venue's balance",
        )  # fmt: skip
        journal.post_many([draft], by=by)


def _correct_trade(row: Difference, *, by: By, at: datetime) -> None:
    trade, line = row.trade, row.line
    assert trade is not None and line is not None
    if trade.state == Trade.State.OPEN and not line.is_purchase:
        outcome = trades.Outcome(
            state=_end_by_amount(trade, line.amount),
            proceeds=line.amount,
            settled_at=line.happened_at,
            transaction_id=line.transaction_id,
        )
        trade = trades.settle(trade, outcome, by=by, at=at)
    else:
        trade = _take_figure(trade, line, row, by=by, at=at)
    VenueLine.objects.filter(pk=line.pk).update(state=VenueLine.State.MATCHED, trade=trade)
    statements.confirm(trade, at=at)


def _take_figure(trade: Trade, line: VenueLine, row: Difference, *, by: By, at: datetime) -> Trade:
    amount = change(row)
    with trades.moving(trade) as trade:
        if amount:
            draft = entries.of_correction(
                trade.account, amount, key=f"difference:{row.uuid}", at=at,
                against_stakes=line.is_purchase and trade.state == Trade.State.OPEN,
                narration=f"Contract {line.contract_id} corrected to the venue's statement",
            )  # fmt: skip
            journal.post_many([draft], by=by)
        if line.is_purchase:
            trade.buy_price = -line.amount
        else:
            trade.proceeds = line.amount
        if trade.proceeds is not None and trade.buy_price is not None:
            trade.profit = pricing.profit(trade.buy_price, trade.proceeds)
        trades.save(trade, at)
        trades.announce(
            "trade.corrected", trade, by=by, at=at, transaction=line.transaction_id, amount=line.amount
        )
    return trade


def _end_by_amount(trade: Trade, amount: Decimal) -> str:
    """How a contract ended, told from what the venue paid for it alone."""
    if amount == 0:
        return Trade.State.LOST
    return Trade.State.WON if amount == trade.payout else Trade.State.SOLD
