"""The venue's statement, line by line: the second, independent source of what was bought and how it ended.

Each line is taken in once, from the transaction stream or the statement, in any order and however often it is
told. It is laid to the trade it belongs to and must say the same; what no trade of ours can have caused is booked
as outside activity; what says something else is a difference for a person.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from backoffice import events
from backoffice.wake import wake
from backoffice.who import By
from brokerage import differences, entries, venue
from brokerage.matching import CLOCK_SLACK, same_terms
from brokerage.models import Difference, Trade, TradingAccount, VenueLine
from brokerage.translation import Clock, Heard, heard_in_statement
from ledger import journal

BY: Final = By.system("statements")
ASK_SECONDS: Final = 15.0
# A statement is read again from a little before the last line we are sure of: the venue's clock counts in seconds.
OVERLAP: Final = timedelta(seconds=60)
# An end whose purchase never shows up on any line was bought before the account was linked.
OLD_CONTRACT: Final = timedelta(seconds=30)


def read(account: TradingAccount, *, now: Clock) -> int:
    """Read the venue's statement from where it is known to be whole, take it in, and look for gaps.

    Returns how many lines were new. Called twice it finds nothing new. Locks the trading account.

    :raises VenueError: if the venue cannot be asked; nothing is changed.
    """
    account = TradingAccount.objects.get(pk=account.pk)
    since = None
    if account.statement_through is not None:
        last = account.venue_lines.get(transaction_id=account.statement_through)
        since = int((last.happened_at - OVERLAP).timestamp())
    found = venue.statement(str(account.pk), since, deadline=venue.deadline_in(ASK_SECONDS))
    new = take_in(account, map(heard_in_statement, found), at=now())
    check_whole(account, at=now())
    return new


def take_in(account: TradingAccount, heard: Iterable[Heard], *, at: datetime) -> int:
    """Keep each line once, and lay it and every line that waited to the trades they belong to.

    Returns how many were new. A line that is known under another account, or says something else than before, is
    not taken; it becomes a difference. Locks the trading account.
    """
    lines = {line.transaction_id: line for line in heard}
    with transaction.atomic():
        account = _locked(account)
        known = {
            row.transaction_id: row
            for row in VenueLine.objects.filter(transaction_id__in=lines).select_related("account")
        }
        for number, row in known.items():
            _check_same(account, row, lines[number], at)
        new = [_row(account, line, at) for number, line in sorted(lines.items()) if number not in known]
        VenueLine.objects.bulk_create(new)
        if new:
            _mark_opening(account)
            last = account.venue_lines.latest("transaction_id")
            TradingAccount.objects.filter(pk=account.pk).update(
                venue_balance=last.balance_after, venue_balance_at=at
            )
        lay_waiting(account, at=at)
    return len(new)


def lay_waiting(account: TradingAccount, *, at: datetime) -> int:
    """Lay every waiting line of the account to the trade it belongs to, or book it as outside activity.

    Returns how many still wait. Twice is once: a line leaves *waiting* once. Locks the trading account.
    """
    with transaction.atomic():
        account = _locked(account)
        # Asked before the trades are: a purchase that is in flight now may be known by its contract a moment later,
        # never the other way round.
        in_flight = list(account.trades.in_flight().filter(submitted_at__isnull=False))
        waiting = list(account.venue_lines.waiting())
        numbers = [line.contract_id for line in waiting if line.contract_id is not None]
        ours = {trade.contract_id: trade for trade in account.trades.filter(contract_id__in=numbers)}
        for line in waiting:
            trade = ours.get(line.contract_id) if line.contract_id is not None else None
            if trade is not None:
                _lay(line, trade, account, at)
            elif not _may_be_ours(line, in_flight, at):
                _book_outside(line, account, at)
        return sum(line.state == VenueLine.State.WAITING for line in waiting)


def check_whole(account: TradingAccount, *, at: datetime) -> None:
    """After a reading: each line must start from the balance the one before it left; a jump is a difference.

    A gap that a later reading fills goes away by itself. Locks the trading account.
    """
    with transaction.atomic():
        account = _locked(account)
        through, balance = account.statement_through, None
        if through is not None:
            balance = account.venue_lines.get(transaction_id=through).balance_after
        gap = None
        for line in account.venue_lines.filter(transaction_id__gt=through or 0).order_by("transaction_id"):
            if balance is not None and balance + line.amount != line.balance_after:
                gap = line
                break
            through, balance = line.transaction_id, line.balance_after
        TradingAccount.objects.filter(pk=account.pk).update(statement_through=through, reconciled_at=at)
        gaps = account.differences.filter(kind=Difference.Kind.GAP)
        if gap is None or balance is None:
            differences.went_away(gaps, by=BY, at=at)
            return
        differences.went_away(gaps.exclude(about=str(gap.transaction_id)), by=BY, at=at)
        missing = gap.balance_after - gap.amount - balance
        differences.find(
            account=account, kind=Difference.Kind.GAP, about=gap.transaction_id, line=gap, by=BY, at=at,
            sentence=f"Between transactions {through} and {gap.transaction_id} the venue's balance moved by "
                     f"{missing:,.2f} without a line.",
            facts={"after": through, "before": gap.transaction_id, "missing": f"{missing:f}"},
        )  # fmt: skip


# ── one line ────────────────────────────────────────────────────────────────────────────────────────────────────


def _locked(account: TradingAccount) -> TradingAccount:
    return (
        TradingAccount.objects.select_for_update(of=("self",), no_key=True)
        .select_related("client", "currency", "cash", "stakes")
        .get(pk=account.pk)
    )


def _row(account: TradingAccount, line: Heard, at: datetime) -> VenueLine:
    return VenueLine(
        account=account,
        transaction_id=line.transaction_id,
        action=line.action[:32],
        amount=line.amount,
        balance_after=line.balance_after,
        happened_at=line.happened_at,
        contract_id=line.contract_id,
        shortcode=line.shortcode[:120],
        heard_at=at,
    )


def _check_same(account: TradingAccount, row: VenueLine, heard: Heard, at: datetime) -> None:
    """What is known already must be this account's and say the same; else a person looks."""
    if row.account_id != account.pk:
        differences.find(
            account=account, kind=Difference.Kind.FOREIGN_LINE, about=row.transaction_id, line=row, by=BY, at=at,
            sentence=f"The statement shows transaction {row.transaction_id}, which is known as {row.account}'s; "
                     "it was not taken.",
        )  # fmt: skip
    elif (row.amount, row.contract_id, row.balance_after) != (
        heard.amount,
        heard.contract_id,
        heard.balance_after,
    ):
        differences.find(
            account=account, kind=Difference.Kind.CHANGED_LINE, about=row.transaction_id, line=row, by=BY, at=at,
            sentence=f"Transaction {row.transaction_id} said {row.amount:,.2f} before and says {heard.amount:,.2f} now; "
                     "the first stands.",
            facts={"before": f"{row.amount:f}", "now": f"{heard.amount:f}"},
        )  # fmt: skip
    elif heard.shortcode and not row.shortcode:
        VenueLine.objects.filter(pk=row.pk).update(shortcode=heard.shortcode[:120])


def _mark_opening(account: TradingAccount) -> None:
    """Lines up to the one that left the balance the mirror was opened with are part of that balance."""
    assert account.opened_at is not None
    lines = account.venue_lines.order_by("transaction_id")
    last = lines.filter(state=VenueLine.State.OPENING).last()
    if last is None and account.opening_balance:
        left = lines.filter(balance_after=account.opening_balance)
        # The venue's clock may run ahead of ours; what follows that soon may be a trade of ours already.
        last = (
            left.filter(happened_at__lte=account.opened_at).last()
            or left.filter(happened_at__lte=account.opened_at + CLOCK_SLACK).first()
        )
    elif last is None:
        last = lines.filter(happened_at__lt=account.opened_at - CLOCK_SLACK).last()
    if last is not None:
        lines.filter(state=VenueLine.State.WAITING, transaction_id__lte=last.transaction_id).update(
            state=VenueLine.State.OPENING
        )


def _may_be_ours(line: VenueLine, in_flight: list[Trade], at: datetime) -> bool:
    """Whether a trade that waits for its answer could have caused the line, or the line's other half is to come."""
    if line.contract_id is None:
        return False
    if line.is_purchase:
        return any(_fits_window(trade, line) for trade in in_flight)
    bought = VenueLine.objects.filter(
        account=line.account_id, contract_id=line.contract_id, action="buy"
    ).first()
    if bought is None:
        return at - line.heard_at < OLD_CONTRACT
    return bought.state != VenueLine.State.OUTSIDE and any(_fits_window(trade, bought) for trade in in_flight)


def _fits_window(trade: Trade, line: VenueLine) -> bool:
    assert trade.submitted_at is not None and trade.deadline_at is not None
    return (
        line.amount == -trade.stake
        and trade.submitted_at - CLOCK_SLACK <= line.happened_at <= trade.deadline_at + CLOCK_SLACK
    )


def _lay(line: VenueLine, trade: Trade, account: TradingAccount, at: datetime) -> None:
    """Lay a line to our trade: it must say the same as the contract's own stream did."""
    if (
        VenueLine.objects.filter(trade=trade, action="buy").exists()
        if line.is_purchase
        else (VenueLine.objects.filter(trade=trade).exclude(action="buy").exists())
    ):
        differences.find(
            account=account, kind=Difference.Kind.CHANGED_LINE, about=line.transaction_id, line=line, trade=trade,
            by=BY, at=at, sentence=f"The venue tells a second {line.action} of contract {line.contract_id}; "
                                   "it is booked as outside activity.",
        )  # fmt: skip
        _book_outside(line, account, at)
        return
    if line.is_purchase:
        assert trade.buy_price is not None
        ours, kind = -trade.buy_price, Difference.Kind.PURCHASE
    elif trade.state in Trade.SETTLED:
        assert trade.proceeds is not None
        ours, kind = trade.proceeds, Difference.Kind.SETTLEMENT
    else:
        # The statement knows of the end before the contract's own stream told: ask for it.
        wake("trading.follow_up", trade.pk)
        return
    line.trade = trade
    line.state = VenueLine.State.MATCHED if line.amount == ours else VenueLine.State.DIFFERS
    line.save(update_fields=["trade", "state"])
    if line.state == VenueLine.State.MATCHED:
        differences.went_away(account.differences.filter(line=line), by=BY, at=at)
    else:
        differences.find(
            account=account, kind=kind, about=line.transaction_id, line=line, trade=trade, by=BY, at=at,
            sentence=f"Contract {line.contract_id}: the statement says {line.amount:,.2f}, the contract itself {ours:,.2f}.",
            facts={"ours": f"{ours:f}", "venues": f"{line.amount:f}"},
        )  # fmt: skip
    confirm(trade, at=at)


def find_other_end(trade: Trade, *, at: datetime) -> None:
    """The contract says that it runs; if the statement said long ago that it ended, a person decides."""
    line = (
        VenueLine.objects.waiting()
        .filter(account=trade.account_id, contract_id=trade.contract_id, heard_at__lt=at - OLD_CONTRACT)
        .exclude(action="buy")
        .first()
    )
    if line is not None:
        differences.find(
            account=trade.account, kind=Difference.Kind.SETTLEMENT, about=line.transaction_id, line=line, trade=trade,
            by=BY, at=at, sentence=f"Contract {line.contract_id} runs on, says the contract; it ended with "
                                   f"{line.amount:,.2f}, says the statement.",
            facts={"ours": None, "venues": f"{line.amount:f}"},
        )  # fmt: skip


def confirm(trade: Trade, *, at: datetime) -> None:
    """Mark the trade as told by both sources, once its purchase and its end are on matched lines."""
    matched = VenueLine.objects.filter(trade=trade, state=VenueLine.State.MATCHED)
    if trade.state in Trade.SETTLED and matched.count() == 2:
        Trade.objects.filter(pk=trade.pk, confirmed_at__isnull=True).update(confirmed_at=at)


def _book_outside(line: VenueLine, account: TradingAccount, at: datetime) -> None:
    """Not caused by us: the mirror follows the venue. A purchase we had called never placed is told to a person."""
    bought = None
    if line.contract_id is not None and not line.is_purchase:
        bought = account.venue_lines.filter(
            contract_id=line.contract_id, action="buy", state=VenueLine.State.OUTSIDE
        ).first()
    drafts = entries.of_outside(line, account, bought_for=-bought.amount if bought is not None else None)
    if drafts:
        journal.post_many(drafts, by=BY)
    line.state = VenueLine.State.OUTSIDE
    line.save(update_fields=["state"])
    events.record(
        "trading_account.outside_activity",
        subject_type="trading_account",
        subject_id=account.uuid,
        client_id=account.client.uuid,
        by=BY,
        at=at,
        payload={"transaction": line.transaction_id, "action": line.action, "amount": line.amount,
                 "contract": line.contract_id},
    )  # fmt: skip
    if line.is_purchase and (trade := _said_not_bought(line, account)) is not None:
        differences.find(
            account=account, kind=Difference.Kind.LATE_PURCHASE, about=line.transaction_id, line=line, trade=trade,
            by=BY, at=at, sentence=f"The venue shows contract {line.contract_id}, which looks like a trade that was called "
                                   f"{trade.get_state_display().lower()}; it is booked as outside activity.",
        )  # fmt: skip


def _said_not_bought(line: VenueLine, account: TradingAccount) -> Trade | None:
    """A trade we gave up as not bought that this purchase looks like."""
    given_up = account.trades.filter(
        state__in=[Trade.State.NEVER_PLACED, Trade.State.REJECTED, Trade.State.DENIED],
        submitted_at__lte=line.happened_at + CLOCK_SLACK,
        deadline_at__gte=line.happened_at - CLOCK_SLACK,
        stake=-line.amount,
    ).select_related("instrument")
    return next(
        (trade for trade in given_up if not line.shortcode or same_terms(trade, line.shortcode)), None
    )
