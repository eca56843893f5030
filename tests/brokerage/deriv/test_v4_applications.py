"""What an application asks over HTTP for itself: a contract bought for many accounts, and what its markup has earned."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from brokerage.deriv.errors import NotAuthorized, OutcomeUnknown, Refused
from brokerage.deriv.opening import Credentials, open_client
from brokerage.deriv.rest import RestClient
from brokerage.deriv.rest_types import BulkPurchase, Buyer, MarkupSums
from brokerage.deriv.types import ContractTerms
from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.schemas import Recorder
from tests.brokerage.deriv.speaking import addresses

pytestmark = pytest.mark.processes

Account = dict[str, Any]
TERMS = ContractTerms("CALL", "1HZ100V", "stake", Decimal("10.00"), 5, "m", "USD")
PATH = "/trading/v1/options/contracts/bulk-purchase"
PARAMETERS = {
    "contract_type": "PUT",
    "underlying_symbol": "1HZ100V",
    "basis": "payout",
    "amount": 20,
    "duration": 5,
    "duration_unit": "m",
    "currency": "USD",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """A venue of this file's own: the sums of an application are of all its clients."""
    data = tmp_path_factory.mktemp("shop") / "venue.sqlite3"
    with SimulatorProcess(data, 20, "--no-limits", "--app-markup", "55=2", "--app-markup", "66=1") as process:
        yield process


def buyer(account: Account) -> Buyer:
    return Buyer(account["login_id"], account["token"])


def asking(shop: SimulatorProcess, account: Account, app_id: str = "55", **options: Any) -> RestClient:
    hook = Recorder("v4").hook
    return RestClient(f"http://127.0.0.1:{shop.port}", app_id, account["token"], on_message=hook, **options)


def contracts(shop: SimulatorProcess, account: Account) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shop.books(account["login_id"])["contracts"]
    return found


def test_each_account_buys_or_is_refused_by_itself(shop: SimulatorProcess) -> None:
    first = shop.open_account("first", is_demo=False, balance="25.00")
    poor = shop.open_account("poor", is_demo=False, balance="9.99")
    euro = shop.open_account("euro", is_demo=False, balance="100.00", currency="EUR")
    second = shop.open_account("second", is_demo=False, balance="100.00", same_user_as=first["login_id"])
    reader = shop.open_account("reader", is_demo=False, scopes=["read"])
    demo = shop.open_account("demo")
    buyers = [
        buyer(first), Buyer(second["login_id"], first["token"]), buyer(first), buyer(first), buyer(poor),
        buyer(euro), Buyer(first["login_id"], "nobody"), buyer(reader), Buyer(poor["login_id"], first["token"]),
        buyer(demo),
    ]  # fmt: skip

    async def story() -> tuple[BulkPurchase, ...]:
        async with asking(shop, reader) as rest:
            return await rest.bulk_purchase(TERMS, buyers, is_demo=False)

    done = asyncio.run(story())
    assert [(one.login_id, one.refusal) for one in done] == [
        (first["login_id"], None), (second["login_id"], None), (first["login_id"], None),
        (first["login_id"], "InsufficientBalance"), (poor["login_id"], "InsufficientBalance"),
        (euro["login_id"], "ContractBuyValidationError"), (first["login_id"], "Unauthorized"),
        (reader["login_id"], "AccessDenied"), (poor["login_id"], "AccountNotFound"),
        (demo["login_id"], "ValidationError"),
    ]  # fmt: skip
    bought = [one for one in done if one.refusal is None]
    assert [one.buy_price for one in bought] == [Decimal("10.00")] * 3
    booked = contracts(shop, first) + contracts(shop, second)
    assert sorted(one["contract_id"] for one in booked) == sorted(one.contract_id for one in bought)  # type: ignore[type-var]
    assert {one["app_id"] for one in booked} == {55}
    assert {one["markup"] for one in booked} == {"0.38"}, "2 % of the payout, the application's own"
    assert shop.books(first["login_id"])["account"]["balance"] == "5.00"
    line = shop.books(second["login_id"])["lines"][-1]
    assert (line["transaction_id"], line["amount"]) == (done[1].transaction_id, "-10.00")
    for untouched in (poor, euro, reader, demo):
        assert contracts(shop, untouched) == []


def test_a_bulk_purchase_that_nobody_can_make_is_refused_as_a_whole(shop: SimulatorProcess) -> None:
    demo, real = shop.open_account("only-demo"), shop.open_account("only-real", is_demo=False)

    async def story() -> None:
        async with asking(shop, demo) as rest:
            with pytest.raises(Refused, match="ValidationError") as refused:
                await rest.bulk_purchase(TERMS, [buyer(real), Buyer("CR1", "nobody")], is_demo=True)
            assert refused.value.field == "accounts.0.account_id"
            for many in (0, 101):
                with pytest.raises(ValueError):
                    await rest.bulk_purchase(TERMS, [buyer(demo)] * many, is_demo=True)
        async with asking(shop, demo, "no*app") as rest:
            with pytest.raises(NotAuthorized, match="InvalidAppID"):
                await rest.bulk_purchase(TERMS, [buyer(demo)], is_demo=True)

    asyncio.run(story())
    assert (contracts(shop, demo), contracts(shop, real)) == ([], [])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"accounts": []}, "accounts"),
        ({"accounts": 101}, "accounts"),
        ({"accounts": [{"token": "t"}]}, "accounts.0"),
        ({"accounts": [{"token": "t", "account_id": "a", "surprise": 1}]}, "accounts.0"),
        ({"accounts": [{"token": "", "account_id": "a"}]}, "accounts.0.token"),
        ({"accounts": [{"token": "t", "account_id": "a" * 65}]}, "accounts.0.account_id"),
        ({"accounts": None}, "accounts"),
        ({"contract_parameters": []}, "contract_parameters"),
    ],
)
def test_a_bulk_purchase_that_makes_no_sense_names_its_field(
    shop: SimulatorProcess, changed: dict[str, Any], field: str
) -> None:
    demo = shop.open_account("sense")
    pair = {"token": demo["token"], "account_id": demo["login_id"]}
    if isinstance(changed.get("accounts"), int):
        changed = {"accounts": [pair] * changed["accounts"]}
    answer = httpx.post(
        f"http://127.0.0.1:{shop.port}{PATH}/demo",
        headers={"Deriv-App-ID": "55"},
        json={"contract_parameters": PARAMETERS, "accounts": [pair], **changed},
    )
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"], error["field"]) == (400, "ValidationError", field)
    assert contracts(shop, demo) == []


def test_terms_that_are_not_on_offer_are_each_account_s_own_refusal(shop: SimulatorProcess) -> None:
    demo = shop.open_account("terms")
    pair = {"token": demo["token"], "account_id": demo["login_id"]}
    for changed, code in (
        ({"barrier": "+1"}, "OfferingsValidationError"),
        ({"amount": "20"}, "InputValidationFailed"),
        ({"app_markup_percentage": 3}, "InputValidationFailed"),
        ({"underlying_symbol": "XYZ"}, "InvalidSymbol"),
        ({"amount": 100000}, "PayoutLimits"),
    ):
        sent = {"contract_parameters": {**PARAMETERS, **changed}, "accounts": [pair, pair]}
        answer = httpx.post(
            f"http://127.0.0.1:{shop.port}{PATH}/demo", headers={"Deriv-App-ID": "55"}, json=sent
        )
        rows = answer.json()["data"]["transactions"]
        assert (answer.status_code, [row["error"]["code"] for row in rows]) == (200, [code] * 2)
    assert contracts(shop, demo) == []


def test_a_bulk_purchase_whose_answer_is_lost_may_have_been_made(shop: SimulatorProcess) -> None:
    demo = shop.open_account("lost")

    async def story() -> None:
        async with asking(shop, demo) as rest:
            for fault, bought in (("drop_before_purchase", 0), ("lose_answer", 2)):
                shop.control("POST", "faults", {"fault": fault, "call": "bulk_purchase_demo"})
                with pytest.raises(OutcomeUnknown):
                    await rest.bulk_purchase(TERMS, [buyer(demo)] * 2, is_demo=True)
                assert len(contracts(shop, demo)) == bought

    asyncio.run(story())


def test_no_token_is_seen_by_who_watches(shop: SimulatorProcess) -> None:
    demo, seen = shop.open_account("secret"), list[Any]()

    async def story() -> None:
        base = f"http://127.0.0.1:{shop.port}"

        def watch(direction: str, frame: dict[str, Any]) -> None:
            seen.append(frame)

        async with RestClient(base, "55", demo["token"], on_message=watch) as rest:
            await rest.bulk_purchase(TERMS, [buyer(demo)], is_demo=True)

    asyncio.run(story())
    assert len(seen) == 2 and demo["token"] not in json.dumps(seen, default=str)
    assert demo["token"] not in repr(buyer(demo))


def test_an_application_s_markup_is_summed_in_dollars(shop: SimulatorProcess) -> None:
    dollars = shop.open_account("m-usd", is_demo=False)
    euros = shop.open_account("m-eur", currency="EUR", is_demo=False)
    demo = shop.open_account("m-demo")
    in_euros = ContractTerms("PUT", "R_100", "stake", Decimal("20.00"), 5, "m", "EUR")
    today = datetime.now(UTC).date()
    day = timedelta(days=1)

    async def story() -> None:
        async with asking(shop, dollars, "66") as rest:
            empty = await rest.markup_statistics(today - day, today + day)
            zero = Decimal("0.00")
            assert (empty.total, empty.applications) == (MarkupSums(zero, zero, zero, 0, 0), ())
            await rest.bulk_purchase(TERMS, [buyer(dollars), buyer(dollars)], is_demo=False)
            await rest.bulk_purchase(in_euros, [buyer(euros)], is_demo=False)
            await rest.bulk_purchase(TERMS, [buyer(demo)], is_demo=True)  # earns nobody anything
            refunded = await open_client(
                addresses(shop, 66), Credentials("v4", dollars["login_id"], dollars["token"])
            )
            shop.fault("refund", "buy", dollars["login_id"])
            ticks = ContractTerms("CALL", "1HZ100V", "stake", Decimal("10.00"), 1, "t", "USD")
            contract = await refunded.buy_with_terms(ticks, Decimal("10.00"))
            async with asyncio.timeout(10):
                while (await refunded.contract(contract.contract_id)).status != "cancelled":
                    await asyncio.sleep(0.02)
            await refunded.close()
            said = await rest.markup_statistics(today - day, today + day)
        async with asking(shop, dollars, "77") as rest:
            assert (await rest.markup_statistics(today, today + day)).applications == (), "another's"
        # 0.19 of each 10.00, and of 20.00 euros 0.38, which are 0.41 dollars; the refunded one does not count.
        assert (said.total.markup, said.total.volume) == (Decimal("0.79"), Decimal("41.68"))
        assert (said.total.contracts, said.total.clients) == (3, 2)
        assert said.applications == (("66", said.total),)
        by_hand = {
            name: sum(
                (Decimal(one[name]) * rate).quantize(Decimal("0.01"), "ROUND_DOWN")
                for account, rate in ((dollars, Decimal(1)), (euros, Decimal("1.0842")))
                for one in contracts(shop, account)
                if one["status"] != "cancelled"
            )
            for name in ("markup", "buy_price", "payout")
        }
        assert list(by_hand.values()) == [said.total.markup, said.total.volume, said.total.payout]

    asyncio.run(story())


def test_days_that_make_no_sense_are_refused(shop: SimulatorProcess) -> None:
    account = shop.open_account("days", scopes=["read", "trade"])
    admin = shop.open_account("admin")
    path = f"http://127.0.0.1:{shop.port}/applications/v1/markup-statistics"
    for asked, code, field in (
        ({"date_to": "2026-05-06"}, "FieldIsRequired", "date_from"),
        ({"date_from": "2026-05-01"}, "FieldIsRequired", "date_to"),
        ({"date_from": "2026-05-07", "date_to": "2026-05-06"}, "ValidationError", "date_from"),
        ({"date_from": "2026-02-30", "date_to": "2026-05-06"}, "ValidationError", "date_from"),
        ({"date_from": "20260501", "date_to": "2026-05-06"}, "ValidationError", "date_from"),
        ({"date_from": "2026-05-01", "date_to": "9999-12-31"}, "ValidationError", "date_to"),
    ):
        headers = {"Deriv-App-ID": "55", "Authorization": f"Bearer {admin['token']}"}
        answer = httpx.get(path, params=asked, headers=headers)
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["code"], error["field"]) == (422, code, field)

    async def story() -> None:
        async with asking(shop, account) as rest:
            with pytest.raises(NotAuthorized, match="PermissionDenied"):
                await rest.markup_statistics(date(2026, 5, 1), date(2026, 5, 6))

    asyncio.run(story())


def test_bulk_purchases_are_counted_by_application(tmp_path: Path) -> None:
    async def story(address: str) -> None:
        async with httpx.AsyncClient() as client:

            async def asked(app_id: str) -> int:
                answer = await client.post(address, headers={"Deriv-App-ID": app_id}, json={})
                return answer.status_code

            statuses = await asyncio.gather(*(asked("55") for _ in range(221)))
            assert sorted(statuses) == [400] * 220 + [429]
            assert await asked("66") == 400, "another application has its own count"

    with SimulatorProcess(tmp_path / "venue.sqlite3") as venue:
        asyncio.run(story(f"http://127.0.0.1:{venue.port}{PATH}/demo"))
