"""Loaded into a worker after `crashing`: it takes a guard away for one account, to show that its absence is found.

A guard is off while a file `guard.account` lies in the folder that CRASHES names. Nothing of this is in the product.
"""

import os
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from brokerage import execution, reconciliation, trades, venue
from brokerage.deriv.errors import OutcomeUnknown
from tests.faults.crashing import FOLDER, around

GUARDS = {
    "off_send_once": "a purchase whose answer was lost is sent again",
    "off_look_first": "a purchase whose answer was lost is called never placed, and nobody looks at the venue",
    "off_settle": "what the venue says of a contract's end is not recorded",
}


def is_off(guard: str, account_id: object) -> bool:
    return (FOLDER / f"{guard}.{account_id}").exists()


def _buy(
    plain: Callable[..., Any], order: venue.Order, proposal_id: str, price: Any, *, deadline: float
) -> Any:
    try:
        return plain(order, proposal_id, price, deadline=deadline)
    except OutcomeUnknown:
        if not is_off("off_send_once", order.account_id):
            raise
        trade = trades.Trade.objects.select_related("account__currency", "instrument").get(
            account_id=order.account_id, proposal_id=proposal_id
        )
        later = venue.deadline_in(5)
        offer = venue.proposal(order.link, execution.terms_of(trade), deadline=later)
        return plain(order, offer.id, price, deadline=later)


def _reconcile(plain: Callable[..., Any], trade: Any, **given: Any) -> Any:
    if is_off("off_look_first", trade.account_id):
        return trades.mark_never_placed(trade, by=reconciliation.RECONCILER, at=timezone.now())
    return plain(trade, **given)


def _settle(plain: Callable[..., Any], trade: Any, *given: Any, **more: Any) -> Any:
    return trade if is_off("off_settle", trade.account_id) else plain(trade, *given, **more)


if "CRASHES" in os.environ:
    around(venue, "buy", _buy)
    around(reconciliation, "reconcile", _reconcile)
    around(trades, "settle", _settle)
