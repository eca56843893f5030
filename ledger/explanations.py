"""What stands behind an entry, by what it is about: the request, the word of a bank, custodian or collector, rule and approver.

For `ledger.control.explain`. Each asks a few questions, however many entries a page has; withdrawals say it in
`ledger.withdrawal_history`, transfers and adjustments in `ledger.control.transfer_checks`.
"""

from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import Prefetch

from compliance.models import Approval, Client
from ledger import debts, withdrawal_history
from ledger.collecting.port import collectors
from ledger.control.explain import Facts, agreed, explains
from ledger.models import BankLine, ClawBack, CoinArrival, CollectorEvent, Debt, Deposit

_TOLD: Final = Prefetch("collector_events", queryset=CollectorEvent.objects.order_by("id"))


def register() -> None:
    """Add them to the port; called once, at start-up."""
    for name, said in {
        "deposit": _deposits, "coin_arrival": _arrivals, "bank_line": _lines, "claw_back": _claw_backs, debts.SUBJECT: _debts,
        "collector": _collectors, "client": _clients, "withdrawal": withdrawal_history.explain,
    }.items():  # fmt: skip
        explains.register(name, said)


def _deposits(ids: set[UUID]) -> dict[UUID, Facts]:
    """What it came from: the request, and the line of the bank, the transaction on its chain or the collector's word."""
    rows = (
        Deposit.objects.filter(uuid__in=ids)
        .select_related("currency", "bank_line__statement__bank_account", "arrival__address")
        .defer("bank_line__statement__content", "bank_line__counterparty_iban")
    )  # files, and what is decrypted, are not shown
    return {
        row.uuid: _filled([
            ("Asked for", f"{_money(row.amount, row)} by {row.get_method_display().lower()}, {row.reference}"),
            *_what_came(row),
            ("Note", row.note),
        ])
        for row in rows.prefetch_related(_TOLD)
    }  # fmt: skip


def _what_came(row: Deposit) -> Facts:
    line, arrival = getattr(row, "bank_line", None), getattr(row, "arrival", None)
    if arrival is not None:
        return _coins(arrival)
    if line is not None:
        return _line(line)
    if row.collector:
        return [
            ("Collector", _label(row.collector)),
            ("Its number of the payment", row.external_id),
            ("It told", _told(row)),
        ]
    return [("The other side's number", row.external_id)]


def _arrivals(ids: set[UUID]) -> dict[UUID, Facts]:
    """Coins that were booked beside the wallets: what the custodian told, and why they were not credited."""
    rows = CoinArrival.objects.filter(uuid__in=ids).select_related("address__client")
    return {
        row.uuid: _filled([("Client", str(row.address.client)), *_coins(row), ("State", row.why)])
        for row in rows
    }


def _coins(row: CoinArrival) -> Facts:
    where = row.address
    return [
        ("Sent to", f"{where.address} ({where.get_network_display()})"),
        ("The custodian told", f"transaction {row.txid}, output {row.output}" + (f", in block {row.height:,}" if row.height else "")),
        ("Rule", f"credited when {row.needed} {'block buries' if row.needed == 1 else 'blocks bury'} it, its own counted"),
    ]  # fmt: skip


def _lines(ids: set[UUID]) -> dict[UUID, Facts]:
    """Where the line stands, what the bank says, and what became of it."""
    rows = BankLine.objects.with_statement().filter(uuid__in=ids).select_related("settled_by__by_user")
    return {
        row.uuid: _filled([
            *_line(row), ("From or to", row.counterparty), ("Text", row.text), ("State", row.get_state_display()),
            ("Decided by", str(row.settled_by.by_user or "") if row.settled_by is not None else ""),
        ])
        for row in rows
    }  # fmt: skip


def _line(row: BankLine) -> Facts:
    return [
        ("Bank line", f"{row.statement}, line {row.place}, booked on {row.booked_on:%Y-%m-%d}"),
        ("The bank's id", row.bank_id),
        ("Matched", row.reason),
    ]


def _claw_backs(ids: set[UUID]) -> dict[UUID, Facts]:
    """The deposit that goes back, and what its collector told of it."""
    rows = (
        ClawBack.objects.filter(uuid__in=ids)
        .select_related("deposit")
        .prefetch_related("deposit__collector_events")
    )
    return {
        row.uuid: _filled([
            ("Deposit", row.deposit.reference), ("Collector", _label(row.collector)), ("Its id", row.external_id),
            ("It told", _told(row.deposit)), ("State", row.get_state_display()), ("Why", row.why),
        ])
        for row in rows
    }  # fmt: skip


def _debts(ids: set[UUID]) -> dict[UUID, Facts]:
    """What was taken back when the money was gone, and who agreed to giving it up."""
    rows = Debt.objects.filter(uuid__in=ids).select_related("currency", "claw_back__deposit")
    approvals = {
        row.subject_id: row
        for row in Approval.objects.filter(kind=debts.WRITE_OFF, subject_id__in=ids, state=Approval.State.APPLIED)
        .select_related("policy").prefetch_related("votes__by_user")
    }  # fmt: skip
    return {
        row.uuid: _filled([
            ("Owed for", str(row.claw_back)), ("Owed", _money(row.amount, row)), ("Reason", row.reason),
            *agreed(approvals.get(row.uuid)), ("State", row.get_state_display()),
        ])
        for row in rows
    }  # fmt: skip


def _collectors(ids: set[UUID]) -> dict[UUID, Facts]:
    """A payout of a collector to our bank is about nobody but them."""
    return {
        one.uuid: [("Collector", one.label), ("What", "What they owed us came to our bank.")]
        for one in collectors
        if one.uuid in ids
    }


def _clients(ids: set[UUID]) -> dict[UUID, Facts]:
    """Money that came with nothing else to point to: demo money, and what was there when the books began."""
    return {
        row.uuid: [("Client", row.name), ("Since", f"{row.opened_at:%Y-%m-%d}")]
        for row in Client.objects.filter(uuid__in=ids)
    }


def _told(row: Deposit) -> str:
    return ", ".join(
        f"{one.get_kind_display().lower()} ({one.event_id})" for one in row.collector_events.all()
    )


def _label(collector: str) -> str:
    return collectors.get(collector).label if collector in collectors.names() else collector


def _money(amount: Decimal, row: Any) -> str:
    return f"{amount:,.{row.currency.exponent}f} {row.currency_id}"


def _filled(facts: Facts) -> Facts:
    return [fact for fact in facts if fact[1]]
