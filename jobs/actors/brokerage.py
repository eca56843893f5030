"""Actors of the brokerage: each reads its input, calls one verb, and may be delivered twice."""

import datetime
import json
import logging

from django.utils import timezone

from backoffice.errors import DomainError
from backoffice.logs import correlation
from backoffice.wake import wake
from brokerage import (
    demo,
    demo_accounts,
    execution,
    instruments,
    markup_reports,
    migration,
    proofs,
    reconciliation,
    statements,
)
from brokerage.deriv.errors import NotSent, VenueError
from brokerage.deriv.serial import from_json
from brokerage.deriv.types import ContractState, TransactionUpdate
from brokerage.models import Trade, TradingAccount
from brokerage.translation import heard_on_stream
from jobs.declare import actor

now = timezone.now
log = logging.getLogger(__name__)
REFUSALS = (DomainError, Trade.DoesNotExist, TradingAccount.DoesNotExist)


def _trade(trade_id: int) -> Trade:
    """The trade, its own correlation id taken up: nudge or sweep, one id follows it to the venue."""
    trade = Trade.objects.get(pk=trade_id)
    if trade.correlation_id:
        correlation.set(trade.correlation_id)
    return trade


@actor("trading.submit", time_limit_seconds=60, throws=REFUSALS)
def submit(trade_id: int) -> None:
    """Buy a queued trade at the venue."""
    execution.submit(_trade(trade_id), now=now)


@actor("trading.sell", time_limit_seconds=60, throws=REFUSALS)
def sell(trade_id: int) -> None:
    """Send the sale somebody asked for."""
    execution.sell(_trade(trade_id), now=now)


@actor("trading.observe", time_limit_seconds=30, throws=REFUSALS)
def observe(account_id: int, contract: str) -> None:
    """A contract ended, says the stream: settle the trade it belongs to."""
    state = from_json(ContractState, json.loads(contract))
    execution.observe(TradingAccount.objects.get(pk=account_id), state, now=now)


@actor("trading.follow_up", time_limit_seconds=30, throws=REFUSALS)
def follow_up(trade_id: int) -> None:
    """Ask how an open trade's contract stands."""
    execution.follow_up(_trade(trade_id), now=now)


@actor("trading.reconcile", time_limit_seconds=60, throws=REFUSALS)
def reconcile(trade_id: int) -> None:
    """Find out what became of a purchase whose answer was lost."""
    reconciliation.reconcile(_trade(trade_id), now=now)


@actor("trading.take_in_line", time_limit_seconds=30, throws=REFUSALS)
def take_in_line(account_id: int, line: str) -> None:
    """The venue's balance moved, says the stream: keep the line and lay it to its trade."""
    heard = heard_on_stream(from_json(TransactionUpdate, json.loads(line)))
    statements.take_in(TradingAccount.objects.get(pk=account_id), [heard], at=now())


@actor("trading.lay_lines", time_limit_seconds=30, throws=REFUSALS)
def lay_lines(account_id: int) -> None:
    """Lay an account's waiting lines to their trades."""
    statements.lay_waiting(TradingAccount.objects.get(pk=account_id), at=now())


@actor("trading.read_statement", time_limit_seconds=60, throws=REFUSALS)
def read_statement(account_id: int) -> None:
    """Read an account's statement at the venue; one that cannot be asked is read by the next sweep."""
    try:
        statements.read(TradingAccount.objects.get(pk=account_id), now=now)
    except VenueError as found:
        log.warning("statement not read, the sweep asks again", extra={"code": found.code})


@actor("trading.prove", time_limit_seconds=60, max_retries=8, first_retry_seconds=10)
def prove(account_id: int) -> None:
    """Prove that an account's mirror equals the venue's statement; tried again while the venue cannot be asked."""
    proofs.prove(TradingAccount.objects.get(pk=account_id), now=now)


@actor("trading.prove_all", every=86400, at_time=datetime.time(0, 30), catch_up=False)
def prove_all() -> None:
    """The daily proof: each account that streams follows, spread over the queue."""
    for account_id in TradingAccount.objects.to_stream().values_list("pk", flat=True).iterator():
        wake("trading.prove", account_id)


@actor(
    "trading.compare_markup",
    time_limit_seconds=300,
    every=86400,
    at_time=datetime.time(1, 0),
    throws=REFUSALS,
)
def compare_markup() -> None:
    """The venue's markup reports of this month and the last against ours; one that cannot be had is read tomorrow."""
    try:
        markup_reports.compare_lately(at=now())
    except VenueError as found:
        log.warning("markup reports not read", extra={"code": found.code})


@actor("trading.sweep_statements", time_limit_seconds=30, every=10, max_retries=0)
def sweep_statements() -> None:
    """Have the statement read where the second source is missing."""
    execution.sweep_statements(now=now)


@actor("trading.after_connect", time_limit_seconds=60, throws=REFUSALS)
def after_connect(account_id: int) -> None:
    """A connection is back: what happened meanwhile?"""
    execution.catch_up(TradingAccount.objects.get(pk=account_id), now=now)


@actor("trading.unauthorized", throws=REFUSALS)
def unauthorized(account_id: int, code: str, generation: str) -> None:
    """The venue refuses an account's token in this generation: was the account moved, or is the token no longer good?"""
    account = TradingAccount.objects.get(pk=account_id)
    migration.after_refusal(account, code=code, generation=generation, now=now)


@actor("trading.look_for_migration", time_limit_seconds=60, throws=REFUSALS)
def look_for_migration(account_id: int) -> None:
    """Whether the venue has moved an account to v4."""
    migration.look(TradingAccount.objects.get(pk=account_id), now=now)


@actor("trading.look_for_migrations", time_limit_seconds=60, every=3600)
def look_for_migrations() -> None:
    """Look at every account that speaks v3."""
    migration.look_at_all()


@actor("trading.open_account", time_limit_seconds=30, throws=REFUSALS)
def open_account(account_id: int) -> None:
    """Have the venue open a demo account that waits for it."""
    try:
        demo_accounts.open_at_venue(TradingAccount.objects.get(pk=account_id), now=now)
    except NotSent as found:
        log.warning("demo account not opened yet, the sweep asks again", extra={"code": found.code})


@actor("trading.sync_instruments", time_limit_seconds=120, every=3600, throws=REFUSALS)
def sync_instruments() -> None:
    """Bring the instruments up to date."""
    try:
        instruments.sync(at=now())
    except NotSent as found:
        log.warning("instruments not synced, the next connection asks again", extra={"code": found.code})


@actor("trading.sweep", time_limit_seconds=30, every=2, max_retries=0)
def sweep() -> None:
    """Pick up whatever a lost nudge or a dead process left behind."""
    execution.sweep(now=now)


@actor("trading.sweep_uncertain", time_limit_seconds=30, every=6, max_retries=0)
def sweep_uncertain() -> None:
    """Have every lost answer looked up again."""
    execution.sweep_uncertain()


@actor("demo.link", time_limit_seconds=30, every=30, max_retries=0, throws=REFUSALS)
def demo_link() -> None:
    """Have a demo client link a real account at the simulator, once."""
    try:
        demo.link_one(at=now())
    except NotSent as found:
        log.warning("demo account not linked yet", extra={"code": found.code})


@actor("demo.trade", time_limit_seconds=30, every=4, max_retries=0)
def demo_trade() -> None:
    """Have a demo client trade, so that the console is alive."""
    demo.trade_a_little(at=now())
