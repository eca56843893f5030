"""How `docs/states.md` tells the lives of trades and trading accounts."""

from datetime import timedelta

from backoffice.state_diagrams import StateDiagram, Waiting
from brokerage.execution import QUEUE_PATIENCE
from brokerage.models import (
    Difference,
    Funding,
    Grant,
    GrantRequest,
    MarkupReport,
    Trade,
    TradingAccount,
    VenueLine,
)


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
        about="`brokerage.models.TradingAccount.MOVES`; moved by the verbs of `brokerage.accounts`, "
        "`brokerage.demo_accounts`, `brokerage.adopting` and `brokerage.grants`.",
        moves=TradingAccount.MOVES,
        first=TradingAccount.State.OPENING,
        waiting={
            TradingAccount.State.OPENING: Waiting(
                "the actor `trading.open_account`, when the venue has opened it",
                "`trading.sweep` wakes it again",
                _words(TradingAccount.PATIENCE[TradingAccount.State.OPENING].length) + " from the request",
            ),
            TradingAccount.State.ACTIVE: Waiting(
                "`trading.unauthorized`, if the venue refuses its token, or the client, who takes it away"
            ),
            TradingAccount.State.UNREACHABLE: Waiting(
                "the client, who links it again (`brokerage/linking.py`)",
                "one that was only inactive at the venue comes back with `grants.sync`",
                _words(TradingAccount.PATIENCE[TradingAccount.State.UNREACHABLE].length)
                + " from the last balance heard",
            ),
            TradingAccount.State.UNLINKED: Waiting("the client, if they ever link it again"),
        },
    )


def grant() -> StateDiagram:
    """A grant, from the client's yes to its end."""
    return StateDiagram(
        title="Grant",
        about="`brokerage.models.Grant.MOVES`; moved by `brokerage/linking.py`, `brokerage/grants.py` and "
        "`brokerage/grant_states.py`, under its row lock, before any of its accounts is locked.",
        moves=Grant.MOVES,
        first=Grant.State.ACTIVE,
        waiting={
            Grant.State.ACTIVE: Waiting(
                "the venue, which refuses it, or the client, who takes the last account away",
                "`grants.refresh` has it renewed by `grants.renew` five minutes before its token runs out",
            ),
            Grant.State.REFUSED: Waiting(
                "the client, who links the accounts again or takes them away",
                patience=_words(Grant.PATIENCE[Grant.State.REFUSED].length) + " from the refusal",
            ),
        },
    )


def grant_request() -> StateDiagram:
    """A request for a grant, from the way to the venue to its end."""
    return StateDiagram(
        title="Grant request",
        about="`brokerage.models.GrantRequest.MOVES`; moved by `brokerage/grant_requests.py`, under its row lock. It is "
        "marked used before the venue is asked.",
        moves=GrantRequest.MOVES,
        first=GrantRequest.State.PENDING,
        waiting={
            GrantRequest.State.PENDING: Waiting(
                "the client, who comes back with a code",
                "`grants.sweep_requests` lapses it after ten minutes",
                _words(GrantRequest.PATIENCE[GrantRequest.State.PENDING].length) + " from the request",
            ),
        },
    )


def venue_line() -> StateDiagram:
    """A line of the venue's statement, from being heard of."""
    return StateDiagram(
        title="Statement line",
        about="`brokerage.models.VenueLine.MOVES`; moved by `brokerage.statements`, under the trading account's row lock.",
        moves=VenueLine.MOVES,
        first=VenueLine.State.WAITING,
        waiting={
            VenueLine.State.WAITING: Waiting(
                "the trade's own answer, or the proof that no trade of ours can have caused it (`trading.lay_lines`)",
                f"`trading.sweep` lays it again after {_words(VenueLine.GRACE)}; `trading.sweep_statements` reads the statement",
                _words(VenueLine.PATIENCE[VenueLine.State.WAITING].length) + " from when it was heard of",
            ),
            VenueLine.State.DIFFERS: Waiting(
                "a person, who corrects our books to it",
                patience=_words(VenueLine.PATIENCE[VenueLine.State.DIFFERS].length)
                + " from when it was heard of",
            ),
        },
    )


def difference() -> StateDiagram:
    """A difference between our books and the venue's."""
    return StateDiagram(
        title="Difference",
        about="`brokerage.models.Difference.MOVES`; decided once, by the verbs of `brokerage.reconciliation`, "
        "`brokerage.corrections` and `brokerage.differences`, under its row lock.",
        moves=Difference.MOVES,
        first=Difference.State.OPEN,
        waiting={
            Difference.State.OPEN: Waiting(
                "a person, who decides with a reason",
                "gaps, balances and candidates that a later look no longer finds go away by themselves",
                _words(Difference.PATIENCE[Difference.State.OPEN].length) + " from when it was found",
            ),
        },
    )


def markup_report() -> StateDiagram:
    """A month's markup, ours beside the venue's."""
    return StateDiagram(
        title="Markup report",
        about="`brokerage.models.MarkupReport.MOVES`; moved by the verbs of `brokerage.markup_reports`, under its row lock.",
        moves=MarkupReport.MOVES,
        first=MarkupReport.State.RUNNING,
        waiting={
            MarkupReport.State.RUNNING: Waiting(
                "the end of the month; `trading.compare_markup` compares it every day"
            ),
            MarkupReport.State.EQUAL: Waiting(
                "the venue's payment, recorded by finance",
                patience=_days(MarkupReport.State.EQUAL, "the last comparison"),
            ),
            MarkupReport.State.DIFFERENT: Waiting(
                "finance, who accepts the venue's figure",
                "a later comparison that finds both equal",
                _days(MarkupReport.State.DIFFERENT, "the last comparison"),
            ),
            MarkupReport.State.ACCEPTED: Waiting(
                "the venue's payment, recorded by finance",
                patience=_days(MarkupReport.State.ACCEPTED, "the decision"),
            ),
        },
    )


def funding() -> StateDiagram:
    """Money between a wallet and an account at the venue."""
    return StateDiagram(
        title="Funding",
        about="`brokerage.models.Funding.MOVES`; moved by the verbs of `brokerage.funding`, under its row lock. Money to the venue is held "
        "in the wallet until `done` or `refused`.",
        moves=Funding.MOVES,
        first=Funding.State.QUEUED,
        waiting={
            Funding.State.CODE_WANTED: Waiting(
                "the client, who gives the venue's code (`confirmAccountWithdrawal`)",
                "`funding.sweep` lets it lapse when the venue no longer takes the code",
                _wait(Funding.State.CODE_WANTED, "the request"),
            ),
            Funding.State.QUEUED: Waiting(
                "the actor `funding.send`",
                "`funding.sweep` wakes it again",
                _wait(Funding.State.QUEUED, "its last change"),
            ),
            Funding.State.UNKNOWN: Waiting(
                "`funding.send`, which asks again under the same number",
                "`funding.sweep` wakes it every 10 s",
                _wait(Funding.State.UNKNOWN, "its last change"),
            ),
            Funding.State.PENDING: Waiting(
                "the venue",
                "`funding.sweep` asks it every 10 s",
                _wait(Funding.State.PENDING, "its last change"),
            ),
        },
    )


def _wait(state: Funding.State, since: str) -> str:
    return f"{_words(Funding.PATIENCE[state].length)} from {since}"


def _days(state: MarkupReport.State, since: str) -> str:
    return f"{MarkupReport.PATIENCE[state].length.days} days from {since}"


def _patience(state: Trade.State, since: str) -> str:
    return f"{_words(Trade.PATIENCE[state].length)} from {since}"


def _words(length: timedelta) -> str:
    return f"{int(length.total_seconds())} s"
