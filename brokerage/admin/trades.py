"""Trades: the list with its queues, and the record page."""

import uuid
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import show, timeline
from backoffice.admin.base import ReadOnlyAdmin, record_link, url_of
from backoffice.admin.filters import choice_filter, period_filter, queue_filter, rows_filter
from backoffice.admin.record import Record, Tab
from backoffice.admin.unfinished import tally
from backoffice.patience import is_late
from brokerage.admin import shown
from brokerage.admin.trade_actions import give_up_now, reconcile_now, sell_now, withdraw_now
from brokerage.models import Instrument, Trade, TradingAccount
from compliance.models import Client
from ledger.admin.shown import entries_text
from ledger.models import Entry


def _unfinished(rows: Any, at: datetime) -> QuerySet[Trade]:
    # Named, not excluded: an index finds these few, however many are final.
    return rows.filter(state__in=list(Trade.PATIENCE))  # type: ignore[no-any-return]


def _stuck(rows: Any, at: datetime) -> QuerySet[Trade]:
    return rows.stuck(at)  # type: ignore[no-any-return]


def _uncertain(rows: Any, at: datetime) -> QuerySet[Trade]:
    return rows.filter(state=Trade.State.UNCERTAIN)  # type: ignore[no-any-return]


TRADE = Trade._meta.label_lower
QUEUES = {"unfinished": _unfinished, "stuck": _stuck, "uncertain": _uncertain}
TITLES = {"": "All", "unfinished": "Unfinished", "stuck": "Stuck", "uncertain": "Uncertain"}


def found(term: str) -> Q | None:
    """What a search term means for a trade: an id, a contract, a log-in at the venue, or a client's name."""
    try:
        return Q(uuid=uuid.UUID(term))
    except ValueError:
        pass
    if term.isdigit() and len(term) <= 18:
        return Q(contract_id=int(term))
    if any(sign.isdigit() for sign in term):
        account = TradingAccount.objects.filter(login_id=term.upper()).values("pk")
        return Q(account__in=account)
    people = Client.objects.named(term).values_list("pk", flat=True)[:200]
    return Q(client__in=list(people))


@admin.register(Trade)
class TradeAdmin(ReadOnlyAdmin):
    list_display = ("placed", "who", "deal", "stake_shown", "state_shown", "result_shown", "why_shown")
    list_display_links = ("deal",)
    list_select_related = ("client", "instrument", "account__currency")
    ordering = ("-id",)
    search_fields = ("uuid",)
    search_help_text = "Client, contract, log-in id or trade id"
    list_filter = (
        queue_filter(QUEUES),
        choice_filter("state", "state", Trade.State.choices),
        rows_filter("instrument", "instrument", lambda request: Instrument.objects.order_by("name")),
        choice_filter("account__kind", "account", TradingAccount.Kind.choices),
        choice_filter("source", "source", Trade.Source.choices),
        period_filter("placed_at", "time placed"),
    )
    actions_detail = ("reconcile_now", "sell_now", "withdraw_now", "give_up_now")
    subject_type = "trade"
    empty_text = "No trade here. Trades appear as clients place them, in the client app or over the API."
    sell_now, reconcile_now = sell_now, reconcile_now
    withdraw_now, give_up_now = withdraw_now, give_up_now

    def tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        chosen, url = request.GET.get("queue", ""), reverse(self._name("changelist"))
        live, unclear = tally(request, TRADE), tally(request, TRADE, Trade.State.UNCERTAIN)
        counts = {"unfinished": live.many, "stuck": live.late, "uncertain": unclear.many}
        return [
            {
                "title": title,
                "link": f"{url}?queue={name}" if name else url,
                "active": chosen == name,
                "count": counts.get(name, 0),
            }
            for name, title in TITLES.items()
        ]

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        # A queue is worked from its oldest end.
        return ("id",) if request.GET.get("queue") else ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Trade], search_term: str
    ) -> tuple[QuerySet[Trade], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        which = found(term)
        return (queryset.filter(which) if which is not None else queryset.none()), False

    @admin.display(description="Placed")
    def placed(self, trade: Trade) -> SafeString:
        return show.when(trade.placed_at, tone=show.WRONG if is_late(trade, timezone.now()) else "")

    @admin.display(description="Client")
    def who(self, trade: Trade) -> SafeString:
        return record_link(trade.client)  # type: ignore[no-any-return]

    @admin.display(description="What")
    def deal(self, trade: Trade) -> SafeString:
        return format_html("{} <b>{}</b>", trade.get_side_display(), trade.instrument.name)

    @admin.display(description="Stake")
    def stake_shown(self, trade: Trade) -> SafeString:
        return shown.stake(trade)

    @admin.display(description="State")
    def state_shown(self, trade: Trade) -> SafeString:
        return shown.badge(trade)

    @admin.display(description="Result")
    def result_shown(self, trade: Trade) -> SafeString:
        return shown.result(trade)

    @admin.display(description="Why, and what next")
    def why_shown(self, trade: Trade) -> SafeString:
        return show.cut(trade.why)

    def record(self, request: HttpRequest, row: Trade) -> Record:
        """The facts by question, what happened, and what was posted."""
        trade, digits, currency = row, shown.decimals(row), row.currency
        return Record(
            title=shown.what(trade),
            badge=shown.badge(trade),
            amount=format_html("<small>Stake</small>{}", shown.stake(trade)),
            why=trade.why,
            facts=[
                ("Whose is it?", [
                    ("Client", record_link(trade.client)),
                    ("Trading account", record_link(trade.account)),
                    ("Came from", trade.get_source_display()),
                    ("Placed", show.at(trade.placed_at)),
                ]),
                ("What was bought?", [
                    ("Instrument", record_link(trade.instrument)),
                    ("Direction", trade.get_side_display()),
                    ("Duration", shown.length(trade)),
                    ("Contract", str(trade.contract_id or "")),
                    ("Bought", show.at(trade.purchased_at)),
                    ("Expires", show.at(trade.expires_at)),
                ]),
                ("What is at stake?", [
                    ("Stake", shown.stake(trade)),
                    ("Buy price", show.money(trade.buy_price, currency, digits)),
                    ("Payout if it wins", show.money(trade.payout, currency, digits)),
                    ("Our markup", show.money(trade.markup, currency, digits)),
                    ("Markup rate", show.percent(trade.markup_rate)),
                    ("Venue commission", show.money(trade.commission, currency, digits)),
                ]),
                ("How did it end?", [
                    ("Settled", show.at(trade.settled_at)),
                    ("Entry spot", show.number(trade.entry_spot)),
                    ("Exit spot", show.number(trade.exit_spot)),
                    ("Proceeds", show.money(trade.proceeds, currency, digits)),
                    ("Profit or loss", shown.result(trade)),
                    ("Confirmed by the statement", show.at(trade.confirmed_at)),
                    ("Problem", " ".join(word for word in (trade.problem, trade.problem_code) if word)),
                ]),
                ("How is it found elsewhere?", [
                    ("Trade id", format_html('<span class="c-code">{}</span>', trade.uuid)),
                    ("Correlation id", format_html('<span class="c-code">{}</span>', trade.correlation_id)
                     if trade.correlation_id else ""),
                ]),
            ],
            timeline=timeline.of("trade", trade.uuid),
            tabs=[Tab("Journal entries", lambda: _entries(trade))]
            if request.user.has_perm("ledger.view_entry") else [],
        )  # fmt: skip


def _entries(trade: Trade) -> SafeString:
    owner = {trade.account.uuid: (trade.account.login_id, url_of(trade.account))}
    return entries_text(list(Entry.objects.about("trade", trade.uuid)), owner)
