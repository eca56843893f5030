"""What the brokerage adds to the sidebar, the search, the client's page, and the words for its events."""

import uuid
from typing import Any

from django.http import HttpRequest

from backoffice.admin import ports
from backoffice.admin.base import record_link, url_of
from backoffice.admin.ports import Entry, Found, Panel, Unfinished
from backoffice.admin.unfinished import tally
from brokerage.admin import shown
from brokerage.admin.accounts import accounts_table, trades_table
from brokerage.admin.trades import TRADE, found
from brokerage.models import Difference, Grant, GrantRequest, Trade, TradingAccount, VenueLine

ACCOUNT = TradingAccount._meta.label_lower


def _unreachable(request: HttpRequest) -> int:
    return tally(request, ACCOUNT, TradingAccount.State.UNREACHABLE).many


def _attention(request: HttpRequest) -> int:
    return max(tally(request, TRADE).late, tally(request, TRADE, Trade.State.UNCERTAIN).many)


def _search(request: HttpRequest, term: str, limit: int) -> list[Found]:
    """Trades by id or contract, accounts by log-in id; names find clients, not their thousands of trades."""
    hits: list[Found] = []
    if not any(sign.isdigit() for sign in term):
        return hits
    if request.user.has_perm("brokerage.view_tradingaccount"):
        accounts = ports.visible(request.user, TradingAccount.objects.filter(login_id__iexact=term))
        for account in accounts.select_related("client")[:limit]:
            hits.append(
                Found(
                    str(account), f"Trading account of {account.client}", url_of(account), "account_balance"
                )
            )
    which = found(term)
    if request.user.has_perm("brokerage.view_trade") and which is not None:
        trades = ports.visible(request.user, Trade.objects.filter(which))
        for trade in trades.select_related("client", "instrument").order_by("-id")[:limit]:
            hits.append(
                Found(
                    shown.what(trade),
                    f"{trade.get_state_display()} trade of {trade.client}",
                    url_of(trade),
                    "swap_vert",
                )
            )
    return hits[:limit]


def _trades(ids: set[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str]]:
    rows = Trade.objects.filter(uuid__in=ids).select_related("instrument")
    return {row.uuid: (str(row), url_of(row)) for row in rows}


def _accounts(ids: set[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str]]:
    rows = TradingAccount.objects.filter(uuid__in=ids)
    return {row.uuid: (row.login_id or "Account being opened", url_of(row)) for row in rows}


def _trades_panel(request: HttpRequest, client: Any) -> Any:
    return trades_table(Trade.objects.filter(client=client).order_by("-uuid"))


def _accounts_panel(request: HttpRequest, client: Any) -> Any:
    return accounts_table(TradingAccount.objects.filter(client=client))


ports.sidebar.register(
    "trades",
    Entry(
        "Trading",
        "Trades",
        "admin:brokerage_trade_changelist",
        "swap_vert",
        "brokerage.view_trade",
        _attention,
    ),
    order=10,
)
ports.sidebar.register(
    "trading_accounts",
    Entry("Trading", "Trading accounts", "admin:brokerage_tradingaccount_changelist", "account_balance",
          "brokerage.view_tradingaccount", _unreachable),
    order=20,
)  # fmt: skip
ports.sidebar.register(
    "instruments",
    Entry(
        "Trading",
        "Instruments",
        "admin:brokerage_instrument_changelist",
        "show_chart",
        "brokerage.view_instrument",
    ),
    order=30,
)
ports.search.register("trades", _search, order=20)
ports.subjects.register("trade", _trades)
ports.subjects.register("trading_account", _accounts)
ports.client_panels.register(
    "accounts", Panel("Trading accounts", "brokerage.view_tradingaccount", _accounts_panel), order=10
)
ports.client_panels.register("trades", Panel("Trades", "brokerage.view_trade", _trades_panel), order=20)

for _number, _kind in enumerate([
    Unfinished(Trade, "Trades", "brokerage.view_trade", ("instrument",)),
    Unfinished(Difference, "Differences with the venue", "brokerage.view_difference"),
    Unfinished(VenueLine, "Statement lines", "brokerage.view_difference", ("account",),
               lambda line: record_link(line.account, f"{line} of {line.account.login_id}")),
    Unfinished(TradingAccount, "Trading accounts", "brokerage.view_tradingaccount"),
    Unfinished(Grant, "Grants", "brokerage.view_grant"),
    Unfinished(GrantRequest, "Grant requests", "brokerage.view_grantrequest"),
]):  # fmt: skip
    ports.unfinished.register(_kind.model._meta.label_lower, _kind, order=10 + _number)

_WORDS: dict[str, Any] = {
    "trade.placed": "Placed",
    "trade.submitted": "Sent to the venue",
    "trade.requeued": "Not sent; back in the queue",
    "trade.opened": "Bought at the venue",
    "trade.uncertain": "The venue's answer was lost",
    "trade.flagged": "Waits for a person",
    "trade.won": "Won",
    "trade.lost": "Lost",
    "trade.sold": "Sold",
    "trade.refunded": "Refunded",
    "trade.denied": "Denied by us",
    "trade.rejected": "Rejected by the venue",
    "trade.withdrawn": "Withdrawn",
    "trade.never_placed": "The venue never had it",
    "trade.corrected": "Corrected to the venue's statement",
    "trade.sale_requested": "Sale asked for",
    "trade.sale_refused": "Sale refused by the venue",
    "trade.reconciliation_requested": "Asked to be looked up at the venue",
    "trading_account.requested": "Trading account asked for",
    "trading_account.opened": "Trading account opened at the venue",
    "trading_account.unreachable": lambda payload: f"Cannot be reached: {payload['code']}",
    "trading_account.granted": "Under a grant of the client's",
    "trading_account.unlinked": "Taken away by the client",
    "trading_account.made_default": "Made the default account",
    "trading_account.reset_requested": "Reset of the demo balance asked for",
    "trading_account.reset": "Demo balance reset at the venue",
    "trading_account.reset_refused": lambda payload: f"Demo balance not reset: {payload['code']}",
    "trading_account.closed": "Closed",
    "grant.begun": "Sent to the venue's sign-in",
    "grant.completed": "Given by the client",
    "grant.failed": lambda payload: f"Came to nothing: {payload['code']}",
    "grant.lapsed": "Nobody came back in time",
    "grant.renewed": "Token renewed",
    "grant.refused": lambda payload: f"Refused by the venue: {payload['code']}",
    "grant.ended": "Ended with its last account",
    "trading_account.outside_activity": "Moved at the venue, not through us",
    "trading_account.proof_requested": "Asked to be proved against the statement",
    "trading_account.proved": lambda payload: f"Compared with the venue's statement: {payload['result']}",
    "difference.found": "Found",
    "difference.resolved": lambda payload: f"Decided: {payload['resolution'].replace('_', ' ')}",
}
for _name, _words in _WORDS.items():
    ports.words.register(_name, _words)
