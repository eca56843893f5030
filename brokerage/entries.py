"""What a trade posts: journal entries as drafts, so that each verb posts its own in one batch.

The client's money moves in the mirror. What we earn, the markup, is in our own book: the venue owes it to us.

One batch locks all its accounts in key order, so a purchase and a settlement of one account never wait for each
other in a circle.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from brokerage.models import Funding, Trade, TradingAccount, VenueLine
from ledger import accounts
from ledger.journal import Draft, Line, credit, debit
from ledger.models import Account, Book, Hold


def of_purchase(
    trade: Trade, *, contract_id: int, buy_price: Decimal, markup: Decimal, at: datetime
) -> list[Draft]:
    """The stake moves from cash to open stakes, using up the hold; and the markup in it, if there is any."""
    assert trade.hold is not None
    stake = _draft(
        trade,
        "stake",
        "bought",
        f"Stake of contract {contract_id}",
        [debit(trade.account.cash, buy_price), credit(trade.account.stakes, buy_price)],
        contract_id=contract_id,
        at=at,
        captures=[(trade.hold, buy_price)],
    )
    return [stake, *_markup(trade, "markup", markup, contract_id=contract_id, at=at)]


def of_settlement(
    trade: Trade, *, state: str, proceeds: Decimal, markup_change: Decimal, at: datetime
) -> list[Draft]:
    """The stake leaves open stakes, the proceeds reach cash, and the venue's result takes the difference.

    Where the venue tells a markup other than the one booked at the purchase, the change is booked beside it.
    """
    assert trade.buy_price is not None and trade.contract_id is not None
    lines = [debit(trade.account.stakes, trade.buy_price)]
    if proceeds > 0:
        lines.append(credit(trade.account.cash, proceeds))
    gain = proceeds - trade.buy_price
    if gain:
        result = _house(trade.account, "venue_result")
        lines.append(debit(result, gain) if gain > 0 else credit(result, -gain))
    settled = _draft(
        trade,
        f"contract_{state}",
        "settled",
        f"Contract {trade.contract_id} {state}",
        lines,
        contract_id=trade.contract_id,
        at=at,
    )
    return [settled, *_markup(trade, "markup-change", markup_change, contract_id=trade.contract_id, at=at)]


def of_outside(line: VenueLine, account: TradingAccount, *, bought_for: Decimal | None) -> list[Draft]:
    """What a client did at the venue without us, as the mirror books it; nothing for a line that moved nothing.

    `bought_for` is what the contract that ends here had cost, None if its purchase is not on our lines.
    """
    cash, stakes = account.cash, account.stakes
    if line.contract_id is None:
        funding = _house(account, "venue_funding", Account.Kind.ASSET)
        lines = _across(cash, funding, line.amount)
    elif line.is_purchase:
        lines = _across(cash, stakes, line.amount)
    else:
        result = _house(account, "venue_result")
        lines = [credit(cash, line.amount)] if line.amount > 0 else []
        if bought_for:
            lines.append(debit(stakes, bought_for))
        gain = line.amount - (bought_for or Decimal(0))
        if gain:
            lines.append(debit(result, gain) if gain > 0 else credit(result, -gain))
    if not lines:
        return []
    return [
        Draft(
            kind="outside_activity",
            lines=lines,
            at=line.happened_at,
            key=f"line:{line.transaction_id}",
            reference=str(line.transaction_id),
            narration=f"At the venue, not through us: {line.action}",
            subject=("trading_account", account.uuid),
            client_id=account.client.uuid,
        )
    ]


def of_funding(funding: Funding, *, at: datetime) -> Draft:
    """Money between a client's wallet and what we hold at the venue as its payment agent."""
    floating = accounts.house(
        book=Book.REAL, currency=funding.currency_id, purpose="agent_float", kind=Account.Kind.ASSET
    )
    to_venue = funding.direction == Funding.Direction.TO_VENUE
    lines = [debit(funding.wallet, funding.amount), credit(floating, funding.amount)]
    if not to_venue:
        lines = [debit(floating, funding.amount), credit(funding.wallet, funding.amount)]
    return Draft(
        kind="funding",
        lines=lines,
        at=at,
        key=f"funding:{funding.uuid}",
        reference=str(funding.venue_transaction_id or ""),
        narration=f"{funding.get_direction_display()}, account {funding.account.login_id}",
        subject=("funding", funding.uuid),
        client_id=funding.client.uuid,
        captures=[(funding.hold, funding.amount)] if funding.hold is not None else [],
    )


def of_correction(
    account: TradingAccount, amount: Decimal, *, against_stakes: bool, key: str, narration: str, at: datetime
) -> Draft:
    """Bring the mirror's cash to the venue's word: `amount` more (less than zero: less) than it says now."""
    other = account.stakes if against_stakes else _house(account, "venue_result")
    return Draft(
        kind="correction",
        lines=_across(account.cash, other, amount),
        at=at,
        key=key,
        narration=narration,
        subject=("trading_account", account.uuid),
        client_id=account.client.uuid,
    )


def _across(cash: Account, other: Account, amount: Decimal) -> list[Line]:
    """Cash gains `amount` (loses it, if less than zero) from another account."""
    if amount > 0:
        return [debit(other, amount), credit(cash, amount)]
    return [debit(cash, -amount), credit(other, -amount)]


def of_receivable(account: TradingAccount, amount: Decimal) -> list[Line]:
    """Markup earned on an account, in our own book of its kind: receivable from the venue (less than zero: taken back)."""
    book = Book.REAL if account.kind == TradingAccount.Kind.REAL else Book.DEMO
    receivable, income = markup_accounts(book, account.currency_id, shard_key=str(account.uuid))
    if amount > 0:
        return [debit(receivable, amount), credit(income, amount)]
    return [debit(income, -amount), credit(receivable, -amount)]


def markup_accounts(book: Book, currency: str, *, shard_key: str) -> tuple[Account, Account]:
    """What the venue owes us of markup, and the markup we earned, as house accounts of a book of ours."""
    return (
        accounts.house(
            book=book,
            currency=currency,
            purpose="markup_receivable",
            kind=Account.Kind.ASSET,
            shard_key=shard_key,
        ),
        accounts.house(
            book=book,
            currency=currency,
            purpose="markup_income",
            kind=Account.Kind.INCOME,
            shard_key=shard_key,
        ),
    )


def _markup(trade: Trade, key: str, amount: Decimal, *, contract_id: int, at: datetime) -> list[Draft]:
    """The venue took our markup with its price and owes it to us; less than zero takes it back."""
    if not amount:
        return []
    lines = of_receivable(trade.account, amount)
    return [
        _draft(
            trade, "markup", key, f"Markup in contract {contract_id}", lines, contract_id=contract_id, at=at
        )
    ]


def _draft(
    trade: Trade,
    kind: str,
    key: str,
    narration: str,
    lines: list[Line],
    *,
    contract_id: int,
    at: datetime,
    captures: Sequence[tuple[Hold, Decimal]] = (),
) -> Draft:
    return Draft(
        kind=kind,
        lines=lines,
        at=at,
        key=f"trade:{trade.uuid}:{key}",
        reference=str(contract_id),
        narration=narration,
        subject=("trade", trade.uuid),
        client_id=trade.client.uuid,
        captures=captures,
    )


def _house(account: TradingAccount, purpose: str, kind: Account.Kind = Account.Kind.INCOME) -> Account:
    """A house account of the mirror's book, sharded by account so that busy traders do not wait for each other."""
    return accounts.house(
        book=account.cash.book,
        currency=account.currency_id,
        purpose=purpose,
        kind=kind,
        shard_key=str(account.uuid),
    )
