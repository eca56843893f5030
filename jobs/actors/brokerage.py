"""Actors of the brokerage: each reads its input, calls one verb, and may be delivered twice."""

import json
import logging

from django.utils import timezone

from backoffice.errors import DomainError
from backoffice.logs import correlation
from backoffice.who import By
from brokerage import accounts, demo, demo_accounts, execution, instruments, reconciliation
from brokerage.deriv.errors import NotSent
from brokerage.deriv.serial import from_json
from brokerage.deriv.types import ContractState
from brokerage.models import Trade, TradingAccount
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


@actor("trading.after_connect", time_limit_seconds=60, throws=REFUSALS)
def after_connect(account_id: int) -> None:
    """A connection is back: what happened meanwhile?"""
    execution.catch_up(TradingAccount.objects.get(pk=account_id), now=now)


@actor("trading.unauthorized", throws=REFUSALS)
def unauthorized(account_id: int, code: str) -> None:
    """The venue refuses an account's token."""
    account = TradingAccount.objects.get(pk=account_id)
    accounts.mark_unreachable(account, code=code, by=By.system("streams"), at=now())


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


@actor("demo.trade", time_limit_seconds=30, every=4, max_retries=0)
def demo_trade() -> None:
    """Have a demo client trade, so that the console is alive."""
    demo.trade_a_little(at=now())
