"""The order gate: looked at when a trade is placed, before it is submitted, and last of all before the wire.

`streams` reads the gate every `READ_SECONDS` and sends a purchase or a sale only on a reading that was begun less than
`FRESH_SECONDS` before. So once a change has been committed for `FRESH_SECONDS`, nothing can leave on an older reading,
whatever became of any process or message: that is how long a stricter change takes to return, and why it holds then.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from backoffice import events, keys
from backoffice.errors import DomainError, InvalidInput
from backoffice.who import By
from brokerage.models import Instrument, OrderGate, Trade, TradingAccount
from compliance.models import Client

READ_SECONDS: Final = 0.2
FRESH_SECONDS: Final = 0.8
State, Scope = OrderGate.State, OrderGate.Scope
Target = Instrument | Client | TradingAccount | None
_KINDS: Final[dict[type, tuple[OrderGate.Scope, str]]] = {
    Instrument: (Scope.SYMBOL, "instrument"),
    Client: (Scope.CLIENT, "client"),
    TradingAccount: (Scope.ACCOUNT, "account"),
}
_HERE: Final = {
    Scope.EVERYTHING: "Trading",
    Scope.SYMBOL: "Trading in this instrument",
    Scope.CLIENT: "Your trading",
    Scope.ACCOUNT: "Trading on this account",
}


class TradingHalted(DomainError):
    """The order gate lets nothing through here: neither a purchase nor an early sale."""

    code = "TRADING_HALTED"


class TradingReducing(DomainError):
    """The order gate lets no purchase through here; open contracts may still be sold early."""

    code = "TRADING_REDUCING"


@dataclass(frozen=True, slots=True)
class Closed:
    """A scope of the gate that is not active. `target` is a symbol, or a client's or account's primary key as text."""

    scope: str
    target: str
    state: str


def closed() -> list[Closed]:
    """Everything that is not active, in one small question."""
    rows = OrderGate.objects.closed().values_list(
        "scope", "state", "instrument__symbol", "client_id", "account_id"
    )
    return [
        Closed(scope, str(symbol or client or account or ""), state)
        for scope, state, symbol, client, account in rows
    ]


def check_may_send(
    rows: Iterable[Closed], *, symbol: str, client_id: int, account_id: int, is_sale: bool
) -> None:
    """Whether this purchase or early sale may leave. The strictest of all that apply decides.

    :raises TradingHalted: if any of them is halted.
    :raises TradingReducing: if it is a purchase, and any of them is reducing.
    """
    targets = {
        Scope.EVERYTHING: "", Scope.SYMBOL: symbol, Scope.CLIENT: str(client_id), Scope.ACCOUNT: str(account_id),
    }  # fmt: skip
    mine = [row for row in rows if targets[Scope(row.scope)] == row.target]
    for row in mine:
        if row.state == State.HALTED:
            raise TradingHalted(f"{_HERE[Scope(row.scope)]} is halted; nothing was sent.")
    for row in mine:
        if row.state == State.REDUCING and not is_sale:
            raise TradingReducing(
                f"{_HERE[Scope(row.scope)]} is being reduced: nothing is bought now, open contracts may be sold."
            )


def check_may_buy(account: TradingAccount, instrument: Instrument) -> None:
    """:raises TradingHalted, TradingReducing: if the gate lets no purchase of this through."""
    check_may_send(
        closed(), symbol=instrument.symbol, client_id=account.client_id, account_id=account.pk, is_sale=False
    )


def check_may_sell(trade: Trade) -> None:
    """:raises TradingHalted: if the gate lets no early sale of this through."""
    check_may_send(
        closed(), symbol=trade.instrument.symbol, client_id=trade.client_id, account_id=trade.account_id, is_sale=True
    )  # fmt: skip


def change(target: Target, state: str, *, by: By, at: datetime, key: str, reason: str) -> OrderGate:
    """Set the gate for everything (None), an instrument, a client or a trading account, with the reason.

    A stricter setting returns only when it holds: `FRESH_SECONDS` after the commit no process sends on an older one.
    Purchases on the wire by then are recorded as they come; queued trades are denied as workers take them up;
    contracts already bought go on and settle. The same state again changes nothing. Locks the gate's row.

    :raises InvalidInput: if the state is none of the gate's, or the reason is empty.
    :raises KeyReused: if the key was used for something else.
    """
    if state not in State.values:
        raise InvalidInput("The gate is active, reducing or halted.", field="state")
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    scope, named = _scope(target)
    content = f"{scope}|{target.pk if target is not None else ''}|{state}"
    with transaction.atomic():
        keys.claim(by=by, verb="order_gate.change", key=key, content=content, at=at)
        row = _locked(scope, named, by=by, at=at)
        before = State(row.state)
        if before == state:
            return row
        row.state, row.reason, row.changed_by, row.changed_at = state, reason.strip()[:200], by.name, at
        row.save()
        events.record(
            "order_gate.changed",
            subject_type="order_gate",
            subject_id=row.uuid,
            client_id=_client(target),
            by=by,
            at=at,
            key=key,
            payload={
                "scope": scope,
                "symbol": getattr(target, "symbol", None),
                "before": before,
                "state": state,
            },
            reason=reason,
        )
        if OrderGate.STRICTNESS.index(State(state)) > OrderGate.STRICTNESS.index(before):
            transaction.on_commit(lambda: time.sleep(FRESH_SECONDS))
    return row


def _scope(target: Target) -> tuple[OrderGate.Scope, dict[str, Any]]:
    if target is None:
        return Scope.EVERYTHING, {}
    scope, column = _KINDS[type(target)]
    return scope, {column: target}


def _locked(scope: OrderGate.Scope, named: dict[str, Any], *, by: By, at: datetime) -> OrderGate:
    """The scope's row, made if there is none; two at once make one."""
    rows = OrderGate.objects.filter(scope=scope, **named)
    if not rows.exists():
        new = OrderGate(scope=scope, **named, changed_by=by.name, changed_at=at)
        OrderGate.objects.bulk_create([new], ignore_conflicts=True)
    return rows.select_for_update(of=("self",), no_key=True).get()


def _client(target: Target) -> Any:
    if isinstance(target, TradingAccount):
        return target.client.uuid
    return target.uuid if isinstance(target, Client) else None
