"""What an application asks over HTTP for itself: its markup, and purchases for many accounts at once."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from brokerage.deriv import answers
from brokerage.deriv.answers import Fields
from brokerage.deriv.rest_agents import Asking
from brokerage.deriv.rest_types import BulkPurchase, Buyer, MarkupStatistics, MarkupSums
from brokerage.deriv.types import ContractTerms

MOST_BUYERS: Final = 100
_SUMS: Final = ("app_markup_usd", "volume_usd", "payout_usd")


class ApplicationCalls(Asking):
    """The part of ``RestClient`` about applications."""

    async def markup_statistics(self, since_on: date, until_on: date) -> MarkupStatistics:
        """What clients paid the caller's applications between two days, both included, in UTC; amounts in USD.

        The token needs the scope ``application_read``.
        """

        def statistics(body: Fields) -> MarkupStatistics:
            data = answers.obj(body, "data")
            applications = answers.rows(
                data, "breakdown", lambda row: (answers.text(row, "app_id"), _sums(row, ""))
            )
            return MarkupStatistics(_sums(data, "total_"), applications)

        query = urlencode({"date_from": since_on.isoformat(), "date_to": until_on.isoformat()})
        return await self._ask("GET", f"/applications/v1/markup-statistics?{query}", statistics)

    async def bulk_purchase(
        self, terms: ContractTerms, buyers: Sequence[Buyer], *, is_demo: bool
    ) -> tuple[BulkPurchase, ...]:
        """Buy the same contract for up to 100 accounts, all demo or all real, each with its owner's token.

        Each buys or is refused by itself, at the price of its moment: there is no ceiling. A buyer named twice buys
        twice, and **the same call again buys everything again**. Raises ``Refused`` if no buyer can buy at all (no
        contract was sold), ``OutcomeUnknown`` for everything that is no clear refusal: find out account by account.
        The client's own token goes along and is not looked at.
        """
        if not 1 <= len(buyers) <= MOST_BUYERS:
            raise ValueError(f"a bulk purchase has 1 to {MOST_BUYERS} buyers")
        sent: dict[str, Any] = {
            "contract_parameters": {
                "contract_type": terms.contract_type,
                "underlying_symbol": terms.symbol,
                "basis": terms.basis,
                "amount": terms.amount,
                "duration": terms.duration,
                "duration_unit": terms.duration_unit,
                "currency": terms.currency,
            },
            "accounts": [{"token": buyer.token, "account_id": buyer.login_id} for buyer in buyers],
        }

        def results(body: Fields) -> tuple[BulkPurchase, ...]:
            return answers.rows(answers.obj(body, "data"), "transactions", _result)

        kind = "demo" if is_demo else "real"
        path = f"/trading/v1/options/contracts/bulk-purchase/{kind}"
        return await self._ask("POST", path, results, sent, pays=True)


def _sums(row: Fields, prefix: str) -> MarkupSums:
    markup, volume, payout = (answers.amount(row, f"{prefix}{name}") for name in _SUMS)
    return MarkupSums(
        markup,
        volume,
        payout,
        answers.whole(row, f"{prefix}contract_count"),
        answers.whole(row, f"{prefix}client_count"),
    )


def _result(row: Fields) -> BulkPurchase:
    login_id = answers.text(row, "account_id")
    if row.get("error") is not None:
        return BulkPurchase(login_id, refusal=answers.text(answers.obj(row, "error"), "code"))
    return BulkPurchase(
        login_id,
        contract_id=answers.whole(row, "contract_id"),
        buy_price=answers.amount(row, "buy_price"),
        transaction_id=answers.whole(row, "transaction_id"),
    )
