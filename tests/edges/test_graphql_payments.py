"""Wallets and deposits over the API: asked for, paid, listed; and nobody else's."""

from decimal import Decimal

import pytest

from ledger.models import CoinRoute, Deposit
from tests import world
from tests.edges.api import PROBLEM, App
from tests.edges.staff import fingerprint
from tests.ledger import payments

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
MONEY = "{ amount currency }"
ANSWER = (
    f"... on DepositAnswer {{ deposit {{ id state why amount {MONEY} received {MONEY} fee {MONEY} reference expiresAt }} "
    f"wallet {{ posted {MONEY} held {MONEY} available {MONEY} }} instructions {{ reference holder bank iban bic accountNumber }} }} {PROBLEM}"
)
CREATE = f"mutation($input: CreateDepositInput!) {{ createDeposit(input: $input) {{ {ANSWER} }} }}"
CANCEL = f"mutation($id: ID!) {{ cancelDeposit(id: $id) {{ {ANSWER} }} }}"
ONE = "query($id: ID!) { deposit(id: $id) { id state note } }"
LIST = "query($filter: DepositFilter, $first: Int, $after: String) { deposits(filter: $filter, first: $first, after: $after) { edges { node { id state } cursor } pageInfo { hasNextPage endCursor } } }"
WALLETS = f"{{ wallets {{ currency posted {MONEY} held {MONEY} available {MONEY} }} }}"


def client():
    opening = world.client()
    payments.bank()
    return opening.client, App().log_in(opening.user.email)


def asked(**given):
    return {"currency": "EUR", "amount": "100.00", "key": "k", **given}


def test_a_client_asks_where_to_pay_and_sees_the_money_when_it_came():
    _, app = client()
    payments.fee(fixed=Decimal("1.00"))
    assert app.data(WALLETS) == []
    answer = app.data(CREATE, input=asked())
    deposit = answer["deposit"]
    assert (deposit["state"], deposit["received"]) == ("PENDING", None)
    assert answer["instructions"] == {
        "reference": deposit["reference"], "holder": "Nexus Markets Ltd", "bank": "House bank", "iban": payments.IBAN,
        "bic": "COBADEFFXXX", "accountNumber": None,
    }  # fmt: skip
    assert answer["wallet"]["posted"] == {"amount": "0.00", "currency": "EUR"}
    assert app.data(CREATE, input=asked())["deposit"]["id"] == deposit["id"]
    payments.complete(Deposit.objects.get(uuid=deposit["id"]), "99.00")
    assert app.data(ONE, id=deposit["id"]) == {
        "id": deposit["id"], "state": "COMPLETED", "note": "99.00 came instead of 100.00.",
    }  # fmt: skip
    (wallet,) = app.data(WALLETS)
    assert (wallet["posted"]["amount"], wallet["held"]["amount"], wallet["available"]["amount"]) == (
        "98.00",
        "0.00",
        "98.00",
    )
    assert app.data('{ wallet(currency: "EUR") { available { amount } } }') == {
        "available": {"amount": "98.00"}
    }
    assert app.data('{ wallet(currency: "USD") { id } }') is None


def test_a_client_cancels_and_is_told_nothing_to_pay_any_more():
    _, app = client()
    deposit = app.data(CREATE, input=asked())["deposit"]
    answer = app.data(CANCEL, id=deposit["id"])
    assert (answer["deposit"]["state"], answer["deposit"]["expiresAt"], answer["instructions"]) == (
        "CANCELLED",
        None,
        None,
    )
    assert app.data(CANCEL, id=deposit["id"])["deposit"]["state"] == "CANCELLED"


def test_deposits_are_listed_a_page_at_a_time_and_filtered():
    _, app = client()
    ids = [app.data(CREATE, input=asked(key=f"k{n}"))["deposit"]["id"] for n in range(3)]
    app.data(CANCEL, id=ids[0])
    first = app.data(LIST, first=2)
    assert [edge["node"]["id"] for edge in first["edges"]] == ids[:0:-1]
    rest = app.data(LIST, first=2, after=first["pageInfo"]["endCursor"])
    assert ([edge["node"]["id"] for edge in rest["edges"]], rest["pageInfo"]["hasNextPage"]) == (
        [ids[0]],
        False,
    )
    for filter, found in (
        ({"state": ["CANCELLED"]}, 1), ({"state": ["PENDING"]}, 2), ({"currency": "USD"}, 0), ({"method": ["BANK"]}, 3),
        ({"createdBefore": "2020-01-01T00:00:00Z"}, 0), ({"createdFrom": "2020-01-01T00:00:00Z"}, 3),
    ):  # fmt: skip
        assert len(app.data(LIST, filter=filter)["edges"]) == found, filter


def test_refusals_name_their_field_and_leave_nothing():
    _, app = client()
    payments.bank("USD", takes_deposits=False)
    before = fingerprint()
    for given, code, field in (
        (asked(amount="1.001"), "INVALID_AMOUNT", "amount"),
        (asked(amount="0"), "INVALID_INPUT", "amount"),
        (asked(amount="-5"), "INVALID_INPUT", "amount"),
        (asked(currency="XXX"), "DEPOSIT_NOT_OFFERED", "currency"),
        (asked(currency="USD"), "DEPOSIT_NOT_OFFERED", "currency"),
        (asked(method="CARD"), "DEPOSIT_NOT_OFFERED", "method"),
        (asked(key="with space"), "INVALID_INPUT", "key"),
        (asked(client="0190a0a0-0000-7000-8000-000000000000"), "NOT_FOUND", "client"),
    ):
        refused = app.data(CREATE, input=given)
        assert (refused["code"], refused["field"]) == (code, field), given
    assert fingerprint() == before


def test_a_list_of_deposits_costs_three_queries_however_long_it_is(django_assert_num_queries):
    _, app = client()
    for number in range(4):
        app.data(CREATE, input=asked(key=f"k{number}"))
    app.data(LIST)
    with django_assert_num_queries(3):
        assert len(app.data(LIST)["edges"]) == 4


# ── coins ───────────────────────────────────────────────────────────────────────────────────────────────────────

COINS = CREATE.replace("accountNumber", "address network")


def known(owner):
    """Somebody whose limits have room for more than a stranger's."""
    owner.kyc_level = 3
    owner.save()


def taken(network="bitcoin", currency="BTC"):
    return CoinRoute.objects.create(currency_id=currency, network=network, confirmations=2)


def test_a_client_who_pays_in_with_coins_is_told_the_same_address_every_time(the_custodian):
    owner, app = client()
    known(owner)
    taken()
    first, again = (
        app.data(COINS, input=asked(currency="BTC", amount=amount, method="CRYPTO", key=amount))[
            "instructions"
        ]
        for amount in ("0.5", "0.25")
    )
    assert (first["network"], first["address"]) == ("bitcoin", owner.deposit_addresses.get().address)
    assert (again["address"], first["iban"]) == (first["address"], None)


def test_the_chain_is_chosen_where_several_carry_the_coins(the_custodian):
    _, app = client()
    taken("tron", "USDT")
    taken("ethereum", "USDT")
    told = [
        app.data(
            COINS, input=asked(currency="USDT", amount="5", method="CRYPTO", key=network or "none", network=network)
        )["instructions"]["network"]
        for network in (None, "ethereum", "tron")
    ]  # fmt: skip
    assert told == ["tron", "ethereum", "tron"]


@pytest.mark.parametrize("given", [{"currency": "USDT"}, {"network": "tron"}, {"currency": "EUR"}])
def test_coins_that_are_not_taken_are_refused_and_leave_nothing(the_custodian, given):
    _, app = client()
    taken()
    before = fingerprint()
    answer = app.data(COINS, input={**asked(currency="BTC", amount="0.5", method="CRYPTO"), **given})
    assert answer["code"] == "DEPOSIT_NOT_OFFERED"
    assert fingerprint() == before


def test_while_the_custodian_is_silent_nobody_gets_an_address_and_nothing_is_kept(the_custodian):
    _, app = client()
    taken()
    before = fingerprint()
    the_custodian.fault("error_before", call="address")
    answer = app.data(COINS, input=asked(currency="BTC", amount="0.5", method="CRYPTO"))
    assert answer["code"] == "CUSTODIAN_AWAY"
    assert fingerprint() == before
