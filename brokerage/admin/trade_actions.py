"""What staff may do to a trade, each in a dialog with a reason."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import show
from backoffice.admin.actions import dialog_action
from backoffice.who import By
from brokerage import placing, reconciliation
from brokerage.admin import shown
from brokerage.models import Trade


def _by(request: HttpRequest) -> By:
    return By.user(request.user)  # type: ignore[arg-type]


def _money(trade: Trade, name: str) -> SafeString:
    return show.money(getattr(trade, name), trade.currency, shown.decimals(trade))


def _sale_effect(trade: Trade) -> SafeString:
    cash, stakes = trade.account.cash, trade.account.stakes
    digits = shown.decimals(trade)
    return format_html(
        "<p>The venue is asked to buy contract <b>{}</b> back at its price of that moment. The price is not known "
        "before it answers; it lies between 0 and the payout of {}.</p><dl><dt>Bought for</dt><dd>{}</dd>"
        "<dt>Open stakes now</dt><dd>{} → {} after</dd><dt>Balance now</dt><dd>{} → plus the venue's price</dd></dl>"
        "<p class='c-quiet'>The client sees the trade as sold, in their app and statement. It cannot be taken back.</p>",
        trade.contract_id or "–", _money(trade, "payout"), _money(trade, "buy_price"),
        show.tidy(stakes.posted, digits),
        show.money(stakes.posted - (trade.buy_price or 0), trade.currency, digits),
        show.money(cash.posted, trade.currency, digits),
    )  # fmt: skip


@dialog_action(
    title="Sell now",
    button=lambda trade: f"Sell “{trade}” at the venue's price",
    permission="brokerage.sell_trade_early",
    check=placing.check_may_sell,
    applies=lambda trade: trade.state == Trade.State.OPEN,
    effect=_sale_effect,
    icon="sell",
    danger=True,
)
def sell_now(admin: Any, request: HttpRequest, trade: Trade, form: Any) -> str:
    data = form.cleaned_data
    placing.request_sale(trade, by=_by(request), at=timezone.now(), key=data["key"], reason=data["reason"])
    return "The sale was asked for. The venue's answer settles the trade, usually within seconds."


@dialog_action(
    title="Reconcile",
    button="Look it up at the venue",
    description="The venue's portfolio and profit table are read again. Nothing is bought or sold by this.",
    permission="brokerage.reconcile_trade",
    check=reconciliation.check_may_request,
    applies=lambda trade: trade.state in (Trade.State.UNCERTAIN, Trade.State.OPEN),
    icon="manage_search",
)
def reconcile_now(admin: Any, request: HttpRequest, trade: Trade, form: Any) -> str:
    data = form.cleaned_data
    reconciliation.request(trade, by=_by(request), at=timezone.now(), key=data["key"], reason=data["reason"])
    return "The venue is being asked. What it answers appears in the timeline, usually within seconds."


def _withdrawal_effect(trade: Trade) -> SafeString:
    return format_html(
        "<p>Nothing was sent to the venue yet. The held stake of {} is free again, and the trade ends as "
        "withdrawn. The client sees that.</p>",
        _money(trade, "stake"),
    )


@dialog_action(
    title="Withdraw",
    button="Withdraw the trade",
    permission="brokerage.sell_trade_early",
    check=placing.check_may_withdraw,
    applies=lambda trade: trade.state == Trade.State.QUEUED,
    effect=_withdrawal_effect,
    icon="undo",
    danger=True,
)
def withdraw_now(admin: Any, request: HttpRequest, trade: Trade, form: Any) -> str:
    data = form.cleaned_data
    placing.withdraw(trade, by=_by(request), at=timezone.now(), key=data["key"], reason=data["reason"])
    return "The trade was withdrawn; its stake is free again."


def _giving_up_effect(trade: Trade) -> SafeString:
    return format_html(
        "<p>The held stake of {} is free again, and the trade ends as never placed. The client sees that.</p>",
        _money(trade, "stake"),
    )


@dialog_action(
    title="Call it never placed",
    button="Free the stake",
    description="For a venue that cannot be asked for long. Should it show such a purchase afterwards, it is mirrored as "
    "outside activity and listed as a difference; this trade stays never placed.",
    permission="brokerage.resolve_difference",
    check=lambda trade: reconciliation.check_may_give_up(trade, at=timezone.now()),
    applies=lambda trade: trade.state == Trade.State.UNCERTAIN,
    effect=_giving_up_effect,
    icon="block",
    danger=True,
)
def give_up_now(admin: Any, request: HttpRequest, trade: Trade, form: Any) -> str:
    data = form.cleaned_data
    reconciliation.give_up(trade, by=_by(request), at=timezone.now(), key=data["key"], reason=data["reason"])
    return "The trade was never placed; its stake is free again."
