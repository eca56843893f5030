"""What an application has earned, on the wire."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.talking import TIMED, talk

pytestmark = pytest.mark.processes

APP = 777_001
EVER = {"date_from": "0", "date_to": "9999999999"}


async def bought(
    venue: SimulatorProcess, account: dict[str, Any], app_id: int, percent: float
) -> dict[str, Any]:
    parameters = {**TIMED, "currency": account["currency"], "app_markup_percentage": percent}
    async with talk(venue, account, app_id) as wire:
        request = {"buy": "1", "price": 10, "parameters": parameters}
        return dict((await wire.ask(request))["buy"])


def test_an_application_sees_its_own_markups_and_their_sum(venue: SimulatorProcess) -> None:
    one, two = (venue.open_account(f"markup-{name}", is_demo=False) for name in ("one", "two"))
    euros = venue.open_account("markup-euros", currency="EUR", is_demo=False)
    demo = venue.open_account("markup-demo")
    developer = venue.open_account("markup-developer", currency="GBP")

    async def story() -> None:
        receipts = [
            await bought(venue, two, APP, 2),
            await bought(venue, one, APP, 1),
            await bought(venue, euros, APP, 2),
        ]
        await bought(venue, one, APP, 0)
        await bought(venue, one, APP + 1, 2)
        await bought(venue, demo, APP, 2)  # earns nobody anything
        first, last = receipts[0]["purchase_time"], receipts[-1]["purchase_time"]
        async with talk(venue, developer, APP) as wire:

            async def rows(**fields: Any) -> list[dict[str, Any]]:
                answer = await wire.ask({"app_markup_details": 1, **EVER, **fields})
                return list(answer["app_markup_details"]["transactions"])

            async def numbers(**fields: Any) -> list[int]:
                return [row["transaction_id"] for row in await rows(**fields)]

            bought_ids = [receipt["transaction_id"] for receipt in receipts]
            by_two, by_one, in_euros = bought_ids
            newest = (await rows(description=1))[0]
            assert newest == {
                "app_id": APP,
                "app_markup": 0.38,  # 2 % of 18.81, which 10 EUR pay
                "app_markup_usd": 0.41,  # × 1.0842, rounded down
                "app_markup_value": 0.32,  # × 0.855384
                "client_currcode": "EUR",
                "client_loginid": euros["login_id"],
                "dev_currcode": "GBP",
                "dev_loginid": developer["login_id"],
                "transaction_id": in_euros,
                "transaction_time": str(last),
            }
            assert await numbers() == bought_ids[::-1]
            assert await numbers(sort="ASC") == bought_ids
            assert await numbers(sort="ASC", limit=1, offset=1) == [by_one]
            assert await numbers(limit=0) == []
            by_client = await numbers(sort_fields=["client_loginid", "transaction_time"])
            # by text, so the order of login ids
            assert by_client == [by_one, by_two, in_euros]
            assert await numbers(client_loginid=one["login_id"]) == [by_one]
            assert await numbers(app_id=APP, date_from=str(first), date_to=str(last)) == bought_ids[::-1]
            assert await numbers(date_from=str(last + 1)) == [] == await numbers(date_to=str(first - 1))
            written = datetime.fromtimestamp(last, UTC).strftime("%Y-%m-%d %H:%M:%S")
            assert (await numbers(date_from=written))[0] == in_euros
            assert await wire.refusal({"app_markup_details": 1, **EVER, "app_id": APP + 1}) == "InvalidAppID"

            sums = (await wire.ask({"app_markup_statistics": 1, **EVER}))["app_markup_statistics"]
            assert sums == {
                "breakdown": [
                    {
                        "app_id": APP,
                        "app_markup_usd": 0.98,  # 0.38 + 0.19 + 0.41
                        "app_markup_value": 0.75,  # 0.29 + 0.14 + 0.32
                        "dev_currcode": "GBP",
                        "transactions_count": 3,
                    }
                ],
                "total_app_markup_usd": 0.98,
                "total_transactions_count": 3,
            }
            none = await wire.ask({"app_markup_statistics": 1, "date_from": "5", "date_to": "1"})
            assert none["app_markup_statistics"] == {
                "breakdown": [],
                "total_app_markup_usd": 0,
                "total_transactions_count": 0,
            }

    asyncio.run(story())
