"""What must hold whatever fell over: nothing bought twice, nothing lost, everything final, the mirror equal.

The simulator's own books are the truth about the venue; our side is asked in its own database.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from django.conf import settings

from backoffice import sequencer
from backoffice.models import Event
from brokerage import proofs
from brokerage.models import Trade, TradingAccount
from ledger import verify
from tests.running import Running, until

CENT: Final = Decimal("0.01")
# How the venue calls the end that we call by this name.
STATES: Final = {"won": "won", "lost": "lost", "sold": "sold", "refunded": "cancelled", "open": "open"}
CONFIRMED_SECONDS: Final = 90.0


@dataclass
class Findings:
    """Counts over some accounts, and each thing that is wrong in a sentence."""

    trades: int = 0
    bought_twice: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        return [*self.bought_twice, *self.lost, *self.stuck, *self.unequal]

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(
            self.trades + other.trades,
            self.bought_twice + other.bought_twice,
            self.lost + other.lost,
            self.stuck + other.stuck,
            self.unequal + other.unequal,
        )


def wait_confirmed(logins: Sequence[str]) -> None:
    """Until the statement, the second source, has told of every purchase and every end."""
    bought = Trade.objects.filter(account__login_id__in=logins, contract_id__isnull=False)
    until(
        lambda: not bought.filter(confirmed_at__isnull=True).exists(),
        "the statement confirmed every trade",
        CONFIRMED_SECONDS,
    )


def check(running: Running, logins: Iterable[str], *, placed: int | None = None) -> Findings:
    """These accounts against the simulator's books, right now; `placed` is how many trades their clients know of."""
    found = sum((_check(running, login) for login in logins), Findings())
    if placed is not None and found.trades != placed:
        found.bought_twice.append(f"{list(logins)}: {found.trades} trades for {placed} requests")
    return found


def _check(running: Running, login_id: str) -> Findings:
    books = running.books(login_id)
    ledgers = TradingAccount.objects.select_related("cash", "stakes", "currency")
    if (account := ledgers.filter(login_id=login_id).first()) is None:
        return Findings(lost=[f"{login_id}: no account of ours goes by this login"])
    ours = list(account.trades.order_by("id"))
    found = Findings(trades=len(ours))
    sold = {contract["contract_id"]: contract for contract in books["contracts"]}
    claimed = Counter(trade.contract_id for trade in ours if trade.contract_id is not None)
    found.bought_twice += [
        f"{login_id}: contract {number} belongs to {many} trades"
        for number, many in claimed.items()
        if many > 1
    ]
    found.bought_twice += [
        f"{login_id}: contract {number} was bought and belongs to no trade"
        for number, contract in sold.items()
        if number not in claimed and contract["app_id"] == settings.CONFIG.deriv_app_id
    ]
    for trade in ours:
        if not trade.is_final:
            found.stuck.append(f"{login_id}: {trade} is {trade.state}: {trade.why}")
        elif trade.contract_id is not None:
            found.lost += _unlike(login_id, trade, sold.get(trade.contract_id))
    found.unequal += _unequal(account, books, ours)
    return found


def _unlike(login_id: str, trade: Trade, contract: dict[str, Any] | None) -> list[str]:
    """What the venue says otherwise of a trade that was bought."""
    if contract is None:
        return [f"{login_id}: {trade} has contract {trade.contract_id}, which the venue does not know"]
    says = (contract["status"], Decimal(contract["buy_price"]), Decimal(contract["sell_price"] or 0))
    we_say = (STATES[trade.state], trade.buy_price, trade.proceeds)
    return [] if says == we_say else [f"{login_id}: {trade} is {we_say}, the venue says {says}"]


def _unequal(account: TradingAccount, books: dict[str, Any], ours: list[Trade]) -> list[str]:
    wrong = []
    held = sum(trade.stake for trade in ours if trade.state in ("queued", "submitting", "uncertain"))
    if (mirror := str(account.cash.posted.quantize(CENT))) != books["account"]["balance"]:
        wrong.append(f"mirror {mirror}, venue {books['account']['balance']}")
    if account.cash.held != held:
        wrong.append(f"{account.cash.held} held, {held} in trades not bought yet")
    if all(trade.is_final for trade in ours) and account.stakes.posted:
        wrong.append(f"{account.stakes.posted} in open stakes, and no trade is open")
    compared = proofs.compare(account)
    if compared.unexplained or compared.explanation:
        wrong.append(f"the statement: {compared.unexplained} unexplained, {compared.explanation}")
    if differences := list(account.differences.filter(state="open")):
        wrong.append(f"differences: {[row.sentence for row in differences]}")
    if lines := account.venue_lines.exclude(state__in=["opening", "matched"]).count():
        wrong.append(f"{lines} lines of the statement belong to no trade")
    return [f"{account.login_id}: {each}" for each in wrong]


def check_books() -> list[str]:
    """The ledger against itself, and the event log's chain, once everything has its position."""
    until(lambda: not Event.objects.unsequenced().exists(), "every event has its position", 60)
    broken = sequencer.verify().first_break
    problems = [str(found) for checked in verify.verify() for found in checked.differences]
    return problems + ([f"the event chain breaks: {broken}"] if broken is not None else [])
