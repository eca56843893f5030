"""What an application has earned with its markup, as generation v4 tells it.

It is read as ``v3.markup_calls`` reads it: a contract counts at the time of its purchase, whether it is open or how it
ended, of real accounts only; a cancelled contract does not count, for its whole price was returned, nor does one without
markup. The application is the one that asks: the simulator keeps no register of developers. Other currencies are
exchanged contract by contract, each amount rounded down to the cent.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from brokerage.deriv.simulator.books import Contract, Refusal
from brokerage.deriv.simulator.catalog import exchanged
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.v4.asked import Asked, Body, Served, errors, in_meta

DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
USD: Final = "USD"


class Markup:
    """The handler of markup statistics."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def served(self) -> list[Served]:
        path = "/applications/v1/markup-statistics"
        return [Served("GET", path, "markup_statistics", "application_read", self._statistics, in_meta)]

    def _statistics(self, asked: Asked) -> tuple[int, Body]:
        """What clients paid the application between two days, both included, in UTC; sums in USD."""
        try:
            first, last = _day(asked, "date_from"), _day(asked, "date_to")
            if first > last:
                raise Refusal("ValidationError", "date_from is after date_to.", {"field": "date_from"})
        except Refusal as refusal:
            refused = errors(422, refusal.code, refusal.message)
            refused["errors"][0] |= refusal.details or {}
            return 422, refused
        since, after = (_midnight(day) for day in (first, last + timedelta(days=1)))
        contracts = self._engine.store.marked_up_contracts(asked.app_id, since, after - 1)
        sums = {
            "app_markup_usd": self._sum(contracts, "markup"),
            "volume_usd": self._sum(contracts, "buy_price"),
            "payout_usd": self._sum(contracts, "payout"),
            "contract_count": len(contracts),
            "client_count": len({contract.login_id for contract in contracts}),
        }
        app_id = asked.request.headers["deriv-app-id"]
        data: Body = {f"total_{name}": value for name, value in sums.items()}
        data["breakdown"] = [{"app_id": app_id, **sums}] if contracts else []
        return 200, {"data": data}

    def _sum(self, contracts: list[Contract], name: str) -> Decimal:
        return sum(
            (
                exchanged(getattr(contract, name), self._engine.account(contract.login_id).currency, USD)
                for contract in contracts
            ),
            Decimal("0.00"),
        )


def _day(asked: Asked, name: str) -> date:
    text = asked.request.query_params.get(name, "")
    if not text:
        raise Refusal("FieldIsRequired", f"{name} is missing.", {"field": name})
    try:
        day = date.fromisoformat(text) if DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or day == date.max:
        raise Refusal("ValidationError", f"{name} is a day such as 2026-05-01.", {"field": name})
    return day


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
