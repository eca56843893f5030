"""A person with several accounts, on the wire: lists, balances, settings, transfers."""

import asyncio
import itertools
from typing import Any

import pytest

from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.talking import talk
from tests.brokerage.deriv.test_control import status_of

pytestmark = pytest.mark.processes

Account = dict[str, Any]
_numbers = itertools.count(1)


@pytest.fixture
def family(venue: SimulatorProcess) -> list[Account]:
    """One person's accounts: 100.00 USD and 100.00 EUR of real money, 50.00 USD of play money."""
    number = next(_numbers)
    dollars = venue.open_account(f"dollars-{number}", balance="100.00", is_demo=False)
    same = {"same_user_as": dollars["login_id"]}
    euros = venue.open_account(f"euros-{number}", balance="100.00", currency="EUR", is_demo=False, **same)
    return [dollars, euros, venue.open_account(f"demo-{number}", balance="50.00", **same)]


def ids(accounts: list[Account]) -> list[str]:
    return [account["login_id"] for account in accounts]


def test_every_list_of_accounts_shows_the_person_s_and_nobody_else_s(
    venue: SimulatorProcess, family: list[Account], account: Account
) -> None:
    async def story() -> None:
        for one in family:
            async with talk(venue) as wire:
                body = (await wire.ask({"authorize": one["token"]}))["authorize"]
                assert body["loginid"] == one["login_id"]
                assert [row["loginid"] for row in body["account_list"]] == ids(family)
                rows = (await wire.ask({"account_list": 1}))["account_list"]
                assert [(row["loginid"], row["currency"], row["is_virtual"]) for row in rows] == [
                    (family[0]["login_id"], "USD", 0),
                    (family[1]["login_id"], "EUR", 0),
                    (family[2]["login_id"], "USD", 1),
                ]
                assert [row["broker"] for row in rows] == ["CR", "CR", "VRTC"]
                settings = (await wire.ask({"get_settings": 1}))["get_settings"]
                assert settings["email"] == body["email"] == f"{ids(family)[0].lower()}@simulator.invalid"
                assert settings.get("allow_copiers") == (1 if one is not family[2] else None)
                other = next(login_id for login_id in ids(family) if login_id != one["login_id"])
                assert await wire.refusal({"balance": 1, "account": other}) == "PermissionDenied"
        async with talk(venue, account) as wire:
            rows = (await wire.ask({"account_list": 1}))["account_list"]
            assert [row["loginid"] for row in rows] == [account["login_id"]]
            assert "first_name" not in (await wire.ask({"get_settings": 1}))["get_settings"]

    asyncio.run(story())


def test_an_account_beside_one_that_does_not_exist_is_not_opened(venue: SimulatorProcess) -> None:
    for nobody in ("CR1", "", 5, [], {}):
        assert status_of(venue.open_account, "orphan", same_user_as=nobody) == 422
    stranger = venue.open_account("stranger")
    own = venue.open_account("own")
    assert venue.open_account("own", same_user_as=own["login_id"]) == own
    assert status_of(venue.open_account, "own", same_user_as=stranger["login_id"]) == 409


def test_the_balance_of_all_accounts_has_totals_and_follows_each_of_them(
    venue: SimulatorProcess, family: list[Account]
) -> None:
    dollars, euros, demo = ids(family)

    async def story() -> None:
        async with talk(venue, family[0]) as wire:
            answer = await wire.ask({"balance": 1, "account": "all", "subscribe": 1})
            body = answer["balance"]
            assert (body["balance"], body["loginid"]) == (100.0, dollars)
            worth = {name: row["converted_amount"] for name, row in body["accounts"].items()}
            assert worth == {dollars: 100.0, euros: 108.42, demo: 50.0}
            assert body["total"] == {
                "deriv": {"amount": 208.42, "currency": "USD"},
                "deriv_demo": {"amount": 50.0, "currency": "USD"},
            }
            venue.control("POST", f"accounts/{euros}/activity", {"kind": "deposit", "amount": "1.00"})
            frame = await wire.read()
            assert frame["subscription"] == answer["subscription"]
            assert (frame["balance"]["loginid"], frame["balance"]["balance"]) == (euros, 101.0)
            assert frame["balance"]["total"]["deriv"]["amount"] == 209.5
            assert await wire.refusal({"balance": 1, "subscribe": 1}) == "AlreadySubscribed"

    asyncio.run(story())


def test_money_moves_between_a_person_s_real_accounts(venue: SimulatorProcess, family: list[Account]) -> None:
    dollars, euros, demo = ids(family)

    async def story() -> None:
        async with talk(venue, family[0]) as wire, talk(venue, family[1]) as other:
            listed = await wire.ask({"transfer_between_accounts": 1})
            assert listed["transfer_between_accounts"] == 0
            assert [(row["loginid"], row["balance"], row["transfers"]) for row in listed["accounts"]] == [
                (dollars, "100.00", "withdrawal"),
                (euros, "100.00", "deposit"),
                (demo, "50.00", "none"),
            ]
            await other.ask({"transaction": 1, "subscribe": 1})
            rates = {"exchange_rates": 1, "base_currency": "USD", "target_currency": "EUR"}
            rate = (await wire.ask(rates))["exchange_rates"]["rates"]["EUR"]
            request = {
                "transfer_between_accounts": 1,
                "account_from": dollars,
                "account_to": euros,
                "amount": 50,
                "currency": "USD",
            }
            done = await wire.ask(request)
            assert (done["transfer_between_accounts"], done["client_to_loginid"]) == (1, euros)
            assert rate == 0.922339  # times 50 is 46.11695
            assert [(row["loginid"], row["balance"]) for row in done["accounts"]] == [
                (dollars, "50.00"),
                (euros, "146.11"),
            ]
            told = (await other.read())["transaction"]
            assert (told["action"], told["amount"], told["balance"]) == ("transfer", 46.11, 146.11)
            lines = (await wire.ask({"statement": 1, "action_type": "transfer"}))["statement"]["transactions"]
            assert [(line["transaction_id"], line["amount"]) for line in lines] == [
                (done["transaction_id"], -50.0)
            ]

    asyncio.run(story())


def test_what_cannot_be_moved_stays_where_it_is(
    venue: SimulatorProcess, family: list[Account], account: Account
) -> None:
    dollars, euros, demo = ids(family)
    first = {
        "transfer_between_accounts": 1,
        "account_from": dollars,
        "account_to": euros,
        "amount": 10,
        "currency": "USD",
    }

    async def story() -> None:
        before = [venue.books(login_id) for login_id in (*ids(family), account["login_id"])]
        async with talk(venue, family[0]) as wire:
            for code, changes in (
                ("InsufficientBalance", {"amount": 100.01}),
                ("TransferBetweenAccountsError", {"amount": 0}),
                ("TransferBetweenAccountsError", {"amount": 0.001}),
                ("TransferBetweenAccountsError", {"currency": "EUR"}),
                ("TransferBetweenAccountsError", {"account_to": demo}),
                ("TransferBetweenAccountsError", {"account_to": account["login_id"]}),
                ("TransferBetweenAccountsError", {"account_to": dollars}),
                ("PermissionDenied", {"account_from": euros, "account_to": dollars, "currency": "EUR"}),
            ):
                assert await wire.refusal({**first, **changes}) == code
        async with talk(venue, family[2]) as wire:
            request = {**first, "account_from": demo}
            assert await wire.refusal(request) == "TransferBetweenAccountsError"
            listed = (await wire.ask({"transfer_between_accounts": 1, "account_from": demo}))["accounts"]
            assert {row["transfers"] for row in listed} == {"none"}
        assert [venue.books(login_id) for login_id in (*ids(family), account["login_id"])] == before

    asyncio.run(story())
