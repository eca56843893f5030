"""Trading accounts: what the venue says beside what our mirror says, and whether they may trade."""

from datetime import UTC, datetime
from typing import Any

import redis
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import show, timeline
from backoffice.admin.actions import dialog_action
from backoffice.admin.base import ConsoleAdmin, record_link
from backoffice.admin.filters import choice_filter
from backoffice.admin.record import Record, Tab
from backoffice.who import By
from brokerage import accounts, proofs
from brokerage.admin import links, shown
from brokerage.admin.differences import proofs_table, statement_table
from brokerage.admin.gate import gate_action
from brokerage.admin.grants import grant_facts
from brokerage.admin.limits import set_action
from brokerage.models import Trade, TradingAccount
from brokerage.streams import wire_log
from compliance.models import Client
from ledger.admin.shown import entries_text
from ledger.models import Entry, Posting


@dialog_action(
    title="Prove the mirror",
    button="Prove it now",
    description="The venue's statement is read and compared with our mirror, line by line. Nothing is posted by this.",
    permission="brokerage.reconcile_trade",
    check=accounts.check_may_trade,
    applies=lambda account: account.state == TradingAccount.State.ACTIVE,
    icon="fact_check",
)
def prove_now(admin: Any, request: HttpRequest, account: TradingAccount, form: Any) -> str:
    data = form.cleaned_data
    by = By.user(request.user)  # type: ignore[arg-type]
    proofs.request(account, by=by, at=timezone.now(), key=data["key"], reason=data["reason"])
    return "The venue is being asked. The result appears under “Proofs”, usually within seconds."


@admin.register(TradingAccount)
class TradingAccountAdmin(ConsoleAdmin):
    list_display = ("name", "who", "kind", "state_shown", "balance", "at_venue", "why_shown")
    list_display_links = ("name",)
    list_select_related = ("client", "cash", "currency")
    record_related = ("client", "cash", "stakes", "currency", "grant")
    ordering = ("-id",)
    search_fields = ("login_id",)
    search_help_text = "Client or log-in id"
    list_filter = (
        choice_filter("state", "state", TradingAccount.State.choices),
        choice_filter("kind", "kind", TradingAccount.Kind.choices),
        choice_filter("generation", "generation", TradingAccount.Generation.choices),
    )
    subject_type = "trading_account"
    edit_fields = ("markup_rate",)
    actions_detail = ("prove_now", "close_account", "close_client", "limit_client")
    prove_now = prove_now
    close_account = gate_action("close_account", "Gate: account", lambda row: row)
    close_client = gate_action("close_client", "Gate: client", lambda row: row.client)
    limit_client = set_action(
        "limit_client",
        "Limit the client",
        "In the place of what holds for every client.",
        lambda row: row.client,
    )
    empty_text = "No trading account here. One is opened for each client who signs up."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[TradingAccount], search_term: str
    ) -> tuple[QuerySet[TradingAccount], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if any(sign.isdigit() for sign in term):
            return queryset.filter(login_id=term.upper()), False
        people = list(Client.objects.named(term).values_list("pk", flat=True)[:200])
        return queryset.filter(Q(client__in=people)), False

    @admin.display(description="Account")
    def name(self, account: TradingAccount) -> str:
        return account.login_id or "Being opened"

    @admin.display(description="Client")
    def who(self, account: TradingAccount) -> SafeString:
        return record_link(account.client)  # type: ignore[no-any-return]

    @admin.display(description="State")
    def state_shown(self, account: TradingAccount) -> SafeString:
        return shown.account_badge(account)

    @admin.display(description="Balance")
    def balance(self, account: TradingAccount) -> SafeString:
        return show.money(account.cash.posted, account.currency_id, account.currency.exponent)

    @admin.display(description="At the venue")
    def at_venue(self, account: TradingAccount) -> SafeString:
        return show.money(account.venue_balance, account.currency_id, account.currency.exponent)

    @admin.display(description="Why, and what next")
    def why_shown(self, account: TradingAccount) -> SafeString:
        return show.cut(account.why)

    def record(self, request: HttpRequest, row: TradingAccount) -> Record:
        """Balances on both sides, open trades, entries and what happened. The token is never shown."""
        code, digits = row.currency_id, row.currency.exponent
        cash, stakes = row.cash, row.stakes
        return Record(
            title=str(row),
            badge=shown.account_badge(row),
            amount=show.money(cash.posted, code, digits),
            why=row.why,
            facts=[
                ("Whose is it?", [
                    ("Client", record_link(row.client)),
                    ("Kind", row.get_kind_display()),
                    ("Default account", show.yes(row.is_default)),
                ]),
                ("How much is on it?", [
                    ("Balance, our mirror", show.money(cash.posted, code, digits)),
                    ("Held for trades not bought yet", show.money(cash.held, code, digits)),
                    ("Available", show.money(cash.available, code, digits)),
                    ("Open stakes", show.money(stakes.posted, code, digits)),
                    ("Balance at the venue", show.money(row.venue_balance, code, digits)),
                    ("Venue said so", show.at(row.venue_balance_at)),
                    ("Statement last read", show.at(row.reconciled_at)),
                ]),
                ("How is it traded?", [
                    ("Venue", f"{row.venue.capitalize()}, protocol {row.generation}"),
                    ("Markup", show.percent(row.markup_rate) if row.markup_rate is not None else "The client's"),
                ]),
                *links.facts_of(row),
                ("Who lets us in?", [*grant_facts(row.grant), ("The venue said", row.problem_code or "Nothing against it")]),
                ("When?", [("Asked for", show.at(row.requested_at)), ("Opened", show.at(row.opened_at))]),
                ("Where in the ledger?", [
                    ("Cash", record_link(cash, "Mirror of the venue's balance")),
                    ("Open stakes", record_link(stakes, "Stakes in open contracts")),
                ] if request.user.has_perm("ledger.view_account") else []),
            ],
            timeline=timeline.of("trading_account", row.uuid),
            tabs=self._tabs(request, row),
        )  # fmt: skip

    def _tabs(self, request: HttpRequest, row: TradingAccount) -> list[Tab]:
        tabs = []
        if request.user.has_perm("brokerage.view_trade"):
            tabs.append(Tab("Trades", lambda: trades_table(row.trades.order_by("-id"))))
        if request.user.has_perm("brokerage.view_venueline"):
            tabs.append(Tab("The venue's statement", lambda: statement_table(row)))
        if request.user.has_perm("brokerage.view_statementproof"):
            tabs.append(Tab("Proofs", lambda: proofs_table(row)))
        if request.user.has_perm("brokerage.view_wire"):
            tabs.append(Tab("Messages with the venue", lambda: wire_table(row)))
        if request.user.has_perm("ledger.view_entry"):
            tabs.append(Tab("Journal entries", lambda: entries_text(latest_entries(row))))
        return tabs


def wire_table(account: TradingAccount) -> SafeString:
    """The last messages with the venue, newest first, secrets masked."""
    try:
        messages = wire_log.latest(str(account.pk))
    except redis.RedisError:
        return format_html('<p class="c-empty">{}</p>', "The messages cannot be read at the moment.")
    return show.table(
        ["When", "Who", "What", "Message"],
        [
            [show.at(datetime.fromtimestamp(one.at, UTC)), "We" if one.direction == "out" else "The venue",
             show.badge("Error", show.WRONG) if one.is_error else one.call,
             format_html('<code class="c-wire">{}</code>', one.text)]
            for one in messages
        ],
        empty="No message in the last day. They appear here as they are exchanged; prices are left out.",
    )  # fmt: skip


def latest_entries(account: TradingAccount) -> list[Entry]:
    """The last entries that touched the account's cash, newest first; by the postings' own index."""
    rows = (
        Posting.objects.filter(account=account.cash_id)
        .order_by("-id")
        .values_list("entry_id", flat=True)[:15]
    )
    return list(Entry.objects.filter(pk__in=list(rows)).order_by("-id"))


def trades_table(rows: QuerySet[Trade]) -> SafeString:
    """The first twelve of these trades, each linked to its page; the caller orders them as an index has them."""
    latest: list[Any] = list(rows.select_related("instrument", "account__currency")[:12])
    return show.table(
        ["Placed", "What", "Stake", "State", "Result"],
        [
            [show.when(trade.placed_at), record_link(trade, shown.what(trade)), shown.stake(trade),
             shown.badge(trade), shown.result(trade)]
            for trade in latest
        ],
        right=(2, 4),
        empty="No trade yet. Trades appear as the client places them.",
    )  # fmt: skip


def accounts_table(rows: QuerySet[TradingAccount]) -> SafeString:
    """Trading accounts with their balances."""
    listed = list(rows.select_related("cash", "stakes", "currency").order_by("-is_default", "id")[:20])
    return show.table(
        ["Account", "State", "Balance", "Open stakes", "Why, and what next"],
        [
            [record_link(row), shown.account_badge(row),
             show.money(row.cash.posted, row.currency_id, row.currency.exponent),
             show.money(row.stakes.posted, row.currency_id, row.currency.exponent), row.why]
            for row in listed
        ],
        right=(2, 3),
        empty="No trading account yet. Signing up opens a demo account.",
    )  # fmt: skip
