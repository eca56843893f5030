"""Coins that come in: what is taken, clients' addresses, and what arrived, with what a person decides about it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import dialog_action
from backoffice.admin.base import ConsoleAdmin, ReadOnlyAdmin, record_link, url_of
from backoffice.admin.filters import choice_filter, period_filter
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.ports import Panel, Unfinished
from backoffice.admin.record import Record, Tab
from backoffice.admin.unfinished import tally
from backoffice.patience import is_late
from backoffice.who import By
from ledger import coins
from ledger.admin.preview import preview_of
from ledger.admin.shown import entries_text, named
from ledger.models import CoinArrival, CoinRoute, CustodianCursor, DepositAddress, Entry

ARRIVAL = CoinArrival._meta.label_lower
State = CoinArrival.State
TONES = {
    State.SEEN: show.WAITING, State.CONFIRMING: show.MOVING, State.CREDITED: show.DONE, State.TOO_SMALL: show.WAITING,
    State.DROPPED: show.WAITING, State.LOST: show.WRONG, State.CLOSED: show.DONE,
}  # fmt: skip
PREVIEW = By.system("preview")


@dialog_action(
    title="Credit all the same",
    button="Credit the client",
    description="These coins are fewer than the route credits by itself.",
    permission="ledger.decide_coinarrival",
    check=coins.check_may_credit,
    applies=lambda row: row.state == State.TOO_SMALL,
    effect=lambda row: preview_of(
        lambda: coins.credit_all_the_same(
            row, by=PREVIEW, at=timezone.now(), key="preview", reason="Preview."
        )
    ),
    icon="add_card",
)
def credit_coins(admin: Any, request: HttpRequest, row: CoinArrival, form: Any) -> str:
    data = form.cleaned_data
    coins.credit_all_the_same(
        row, by=By.user(request.user), at=timezone.now(), key=data["key"], reason=data["reason"]  # type: ignore[arg-type]
    )  # fmt: skip
    return "Credited. The client sees it as a deposit."


@dialog_action(
    title="Close lost coins",
    button="It is made good",
    description="The chain forgot coins that we had booked. Say how that was made good; nothing is posted by this.",
    permission="ledger.decide_coinarrival",
    check=lambda row: coins.check_may_move(row, State.CLOSED),
    applies=lambda row: row.state == State.LOST,
    icon="gavel",
    danger=True,
    elevated=True,
)
def close_coins(admin: Any, request: HttpRequest, row: CoinArrival, form: Any) -> str:
    data = form.cleaned_data
    coins.close(row, by=By.user(request.user), at=timezone.now(), key=data["key"], reason=data["reason"])  # type: ignore[arg-type]
    return "Closed, with how it was made good."


@admin.register(CoinArrival)
class CoinArrivalAdmin(ReadOnlyAdmin):
    list_display = ("seen", "who", "value", "network", "buried", "state_shown", "why_shown")
    list_display_links = ("seen",)
    list_select_related = ("address__client", "address__currency")
    record_related = ("address__client", "address__currency", "deposit", "entry")
    ordering = ("-id",)
    search_fields = ("txid",)
    search_help_text = "Transaction"
    list_filter = (choice_filter("state", "state", State.choices), period_filter("seen_at", "time seen"))
    subject_type = "coin_arrival"
    actions_detail = ("credit_coins", "close_coins")
    credit_coins, close_coins = credit_coins, close_coins
    list_intro = (
        "Coins that somebody sent to a client’s address. They are credited when enough blocks bury them."
    )
    empty_text = "No coins yet. They appear as soon as the custodian sees them on their chain."

    @admin.display(description="Seen")
    def seen(self, row: CoinArrival) -> SafeString:
        return show.when(row.seen_at, tone=show.WRONG if is_late(row, timezone.now()) else "")

    @admin.display(description="Client")
    def who(self, row: CoinArrival) -> SafeString:
        return record_link(row.address.client)  # type: ignore[no-any-return]

    @admin.display(description="Amount")
    def value(self, row: CoinArrival) -> SafeString:
        return show.money(row.amount, row.address.currency_id, row.address.currency.exponent)

    @admin.display(description="Network")
    def network(self, row: CoinArrival) -> str:
        return row.address.get_network_display()

    @admin.display(description="Blocks")
    def buried(self, row: CoinArrival) -> str:
        return f"in {row.height:,}" if row.height else ""

    @admin.display(description="State")
    def state_shown(self, row: CoinArrival) -> SafeString:
        return show.badge(row.get_state_display(), TONES[State(row.state)])

    @admin.display(description="Why, and what next")
    def why_shown(self, row: CoinArrival) -> SafeString:
        return show.cut(row.why)

    def record(self, request: HttpRequest, row: CoinArrival) -> Record:
        """What came, how deep it is buried, and what was posted for it."""
        cursor = CustodianCursor.objects.filter(pk=coins.CURSOR).first()
        height = cursor.heights.get(row.address.network, 0) if cursor else 0
        return Record(
            title=f"Coins {row}",
            badge=self.state_shown(row),
            amount=self.value(row),
            why=row.why,
            facts=[
                ("Whose are they?", [
                    ("Client", record_link(row.address.client)), ("Address", _code(row.address.address)),
                    ("Deposit", record_link(row.deposit) if row.deposit else ""),
                ]),
                ("Where are they?", [
                    ("Network", row.address.get_network_display()), ("Transaction", _code(row.txid)), ("Output", str(row.output)),
                    ("Block", f"{row.height:,}" if row.height else ""),
                    ("Blocks that bury it", f"{row.confirmations(height):,} ({row.needed} needed)"),
                ]),
                ("When?", [("Seen", show.at(row.seen_at)), ("Last change", show.at(row.changed_at))]),
            ],
            timeline=timeline.of("coin_arrival", row.uuid),
            tabs=[Tab("Journal entries", lambda: _entries(row))] if request.user.has_perm("ledger.view_entry") else [],
        )  # fmt: skip


@admin.register(DepositAddress)
class DepositAddressAdmin(ReadOnlyAdmin):
    list_display = ("given", "who", "currency", "network", "where")
    list_display_links = ("given",)
    list_select_related = ("client", "currency")
    record_related = ("client", "currency")
    ordering = ("-id",)
    search_fields = ("address",)
    search_help_text = "Address"
    subject_type = "deposit_address"
    list_intro = "Where each client sends coins. The custodian gave them; they are never changed."
    empty_text = "No address yet. One is given when a client first asks to pay in with coins."

    @admin.display(description="Given")
    def given(self, row: DepositAddress) -> SafeString:
        return show.when(row.given_at)

    @admin.display(description="Client")
    def who(self, row: DepositAddress) -> SafeString:
        return record_link(row.client)  # type: ignore[no-any-return]

    @admin.display(description="Address")
    def where(self, row: DepositAddress) -> SafeString:
        return _code(row.address)

    def record(self, request: HttpRequest, row: DepositAddress) -> Record:
        return Record(
            title=f"Address of {row.client.name}",
            why="Coins that come here are the client’s.",
            facts=[
                ("What is it for?", [
                    ("Client", record_link(row.client)), ("Currency", row.currency_id),
                    ("Network", row.get_network_display()), ("Address", _code(row.address)),
                ]),
                ("When?", [("Given", show.at(row.given_at))]),
            ],
            timeline=timeline.of("deposit_address", row.uuid),
            tabs=[Tab("What arrived", lambda: _arrivals(request, row.arrivals.all()))],
        )  # fmt: skip


@admin.register(CoinRoute)
class CoinRouteAdmin(ConsoleAdmin):
    list_display = ("currency", "network", "confirmations", "least_shown", "use")
    list_select_related = ("currency",)
    ordering = ("currency", "network")
    elevated = True
    add_fields = ("currency", "network", "confirmations", "least", "is_active")
    edit_fields = ("confirmations", "least", "is_active")
    list_intro = (
        "What coins clients may pay in with, over which network, and after how many blocks they are credited."
    )
    empty_text = "No coins are taken yet. Add a route for each currency and network."

    @admin.display(description="At least")
    def least_shown(self, row: CoinRoute) -> SafeString:
        return show.money(row.least, row.currency_id, row.currency.exponent)

    @admin.display(description="Use")
    def use(self, row: CoinRoute) -> SafeString:
        return show.badge("Offered", show.DONE) if row.is_active else show.badge("Not offered")

    def record(self, request: HttpRequest, row: CoinRoute) -> Record:
        return Record(
            title=str(row),
            badge=self.use(row),
            why="Clients may pay in with these coins."
            if row.is_active
            else "No addresses are given for these coins.",
            facts=[
                ("On what terms?", [("Blocks", str(row.confirmations)), ("At least", self.least_shown(row))])
            ],
        )


def _code(text: str) -> SafeString:
    return format_html('<span class="c-code">{}</span>', text)


def _entries(row: CoinArrival) -> SafeString:
    subjects = [("coin_arrival", row.uuid)] + ([("deposit", row.deposit.uuid)] if row.deposit else [])
    owner = {row.address.client.uuid: (row.address.client.name, url_of(row.address.client))}
    found = [entry for kind, subject in subjects for entry in Entry.objects.about(kind, subject)]
    return entries_text(found, owner)


def _arrivals(request: HttpRequest, rows: Any) -> SafeString:
    rows = rows.select_related("address__currency").order_by("-id")
    return show.table(
        ["Seen", "Amount", "Transaction", "State"],
        [[show.at(row.seen_at), show.money(row.amount, row.address.currency_id, row.address.currency.exponent),
          record_link(row, str(row)), show.badge(row.get_state_display(), TONES[State(row.state)])]
         for row in ports.visible(request.user, rows)[:50]],
        right=(1,),
        empty="No coins came yet.",
    )  # fmt: skip


def _panel(request: HttpRequest, client: Any) -> Any:
    return _arrivals(request, CoinArrival.objects.filter(address__client=client))


ports.sidebar.register(
    "coin_arrivals",
    SidebarEntry("Payments", "Coins in", "admin:ledger_coinarrival_changelist", "currency_bitcoin", "ledger.view_coinarrival",
                 lambda request: tally(request, ARRIVAL, State.LOST).many),
    order=15,
)  # fmt: skip
ports.sidebar.register(
    "coin_routes",
    SidebarEntry("Settings", "Coins taken", "admin:ledger_coinroute_changelist", "currency_bitcoin", "ledger.view_coinroute"),
    order=46,
)  # fmt: skip
ports.unfinished.register(
    ARRIVAL,
    Unfinished(CoinArrival, "Coins in", "ledger.view_coinarrival", ("address__client", "address__currency")),
    order=45,
)
ports.client_panels.register("coins", Panel("Coins in", "ledger.view_coinarrival", _panel), order=34)
ports.subjects.register("coin_arrival", named(CoinArrival))
ports.subjects.register("deposit_address", named(DepositAddress))
for _name, _words in {
    "address.given": "Address given",
    "coins.seen": "Seen on the network",
    "coins.mined": "In a block",
    "coins.unmined": "Out of its block again",
    "coins.credited": "Credited",
    "coins.too_small": "Too few; booked beside the wallets",
    "coins.dropped": "Dropped by the chain",
    "coins.lost": "Lost after it was booked",
    "coins.back": "In a block again",
    "coins.closed": "Made good",
}.items():
    ports.words.register(_name, _words)
