"""How `docs/states.md` tells the lives of trades and trading accounts."""

from datetime import timedelta

from backoffice.state_diagrams import StateDiagram, Waiting
from brokerage.execution import QUEUE_PATIENCE
from brokerage.models import Trade, TradingAccount


def trade() -> StateDiagram:
    """A trade, from the client's request to its end."""
    seconds = int(QUEUE_PATIENCE.total_seconds())
    return StateDiagram(
        title="Trade",
        about=(
            "`brokerage.models.Trade.MOVES`; moved by the verbs of `brokerage.trades` and `brokerage.placing`, one step "
            "at a time, under the trade's row lock. The stake is held from `queued` on, captured at `open`, free again "
            "in `denied`, `rejected`, `withdrawn` and `never_placed`."
        ),
        moves=Trade.MOVES,
        first=Trade.State.QUEUED,
        waiting={
            Trade.State.QUEUED: Waiting(
                "the actor `trading.submit`, or whoever withdraws it: the client, or staff with a reason",
                f"`trading.sweep` wakes `trading.submit` again; after {seconds} s in the queue it is denied",
                _patience(Trade.State.QUEUED, "its last change"),
            ),
            Trade.State.SUBMITTING: Waiting(
                "the venue's answer, recorded by the same `trading.submit`",
                f"{_words(Trade.GRACE)} after its deadline `trading.sweep` makes it uncertain",
                _patience(Trade.State.SUBMITTING, "its last change"),
            ),
            Trade.State.UNCERTAIN: Waiting(
                "the actor `trading.reconcile`, which asks the venue's books and never buys",
                "`trading.sweep_uncertain` wakes it again every 6 s; where two contracts fit, a person decides",
                _patience(Trade.State.UNCERTAIN, "its last change"),
            ),
            Trade.State.OPEN: Waiting(
                "`streams` seeing the contract end (`trading.observe`), or a sale (`trading.sell`)",
                f"{_words(Trade.GRACE)} after its expiry `trading.sweep` wakes `trading.follow_up`; a sale asked for 20 s ago is sent again",
                _patience(Trade.State.OPEN, "its expiry"),
            ),
        },
    )


def trading_account() -> StateDiagram:
    """A trading account, from the request to its closing."""
    return StateDiagram(
        title="Trading account",
        about="`brokerage.models.TradingAccount.MOVES`; moved by the verbs of `brokerage.accounts`. No verb closes an account yet.",
        moves=TradingAccount.MOVES,
        first=TradingAccount.State.OPENING,
        waiting={
            TradingAccount.State.OPENING: Waiting(
                "the actor `trading.open_account`, when the venue has opened it",
                "`trading.sweep` wakes it again",
            ),
            TradingAccount.State.ACTIVE: Waiting("`trading.unauthorized`, if the venue refuses its token"),
            TradingAccount.State.UNREACHABLE: Waiting("a new token (no edge offers this yet)"),
        },
    )


def _patience(state: Trade.State, since: str) -> str:
    return f"{_words(Trade.PATIENCE[state])} from {since}"


def _words(length: timedelta) -> str:
    return f"{int(length.total_seconds())} s"
