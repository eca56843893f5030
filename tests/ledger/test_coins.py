"""Coins that come in: one address for each client, credited once when enough blocks bury them, dropped when they vanish."""

import pytest
from django.utils import timezone

from backoffice.errors import MoveNotAllowed
from ledger import coins, deposits
from ledger.coins import CustodianAway
from ledger.custody import custody
from ledger.deposits import DepositNotOffered
from ledger.models import CoinArrival, CoinRoute, CustodianCursor, Deposit, DepositAddress
from tests.ledger import payments as desk
from tests.ledger.payments import BY, NOW, D

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
State = CoinArrival.State


@pytest.fixture(autouse=True)
def route():
    return CoinRoute.objects.create(currency_id="BTC", network="bitcoin", confirmations=3, least=D("0.001"))


@pytest.fixture
def client():
    return desk.client()


@pytest.fixture
def address(the_custodian, client):
    return coins.address_for(client, "BTC", by=BY, at=NOW)


def read():
    return coins.read(now=timezone.now)


def arrival() -> CoinArrival:
    return CoinArrival.objects.select_related("deposit").get()


def test_a_client_has_one_address_of_each_currency_and_another_client_another(the_custodian, client):
    one = coins.address_for(client, "BTC", by=BY, at=NOW)
    assert coins.address_for(client, "BTC", "bitcoin", by=BY, at=NOW) == one
    other = coins.address_for(desk.client("Wanjiru", "Kamau"), "BTC", by=BY, at=NOW)
    assert (one.network, one.address == other.address) == ("bitcoin", False)
    assert DepositAddress.objects.count() == 2


def test_an_address_is_given_again_from_our_books_while_the_custodian_is_away(the_custodian, address, client):
    the_custodian.kill()
    try:
        assert coins.address_for(client, "BTC", by=BY, at=NOW) == address
        with pytest.raises(CustodianAway):
            coins.address_for(desk.client("Wanjiru", "Kamau"), "BTC", by=BY, at=NOW)
    finally:
        the_custodian.start()
    assert DepositAddress.objects.get() == address


def test_no_address_is_given_of_coins_that_are_not_taken(the_custodian, client, route):
    with pytest.raises(DepositNotOffered):
        coins.address_for(client, "USDT", by=BY, at=NOW)
    route.is_active = False
    route.save()
    with pytest.raises(DepositNotOffered):
        coins.address_for(client, "BTC", by=BY, at=NOW)
    assert not DepositAddress.objects.exists()


def test_coins_are_credited_when_enough_blocks_bury_them_and_never_twice(the_custodian, address, client):
    the_custodian.send(address.address, "0.25")
    read()
    assert arrival().state == State.SEEN
    the_custodian.mine(2)
    read()
    assert (arrival().state, desk.in_wallet(client, "BTC")) == (State.CONFIRMING, 0)
    the_custodian.mine()
    read()
    found = arrival()
    assert (found.state, found.deposit.state, found.deposit.received) == (
        State.CREDITED,
        "completed",
        D("0.25"),
    )
    assert (desk.in_wallet(client, "BTC"), custody("BTC").posted) == (D("0.25"), D("0.25"))
    the_custodian.fault("repeat", call="changes")
    CustodianCursor.objects.update(change=0)
    read()
    read()
    assert (Deposit.objects.count(), desk.in_wallet(client, "BTC")) == (1, D("0.25"))


def test_coins_complete_the_deposit_that_waits_for_just_this_amount(the_custodian, address, client):
    other, waiting = (
        desk.deposit(client, amount, "BTC", method="crypto", key=amount) for amount in ("0.30", "0.25")
    )
    the_custodian.send(address.address, "0.25")
    the_custodian.mine(3)
    read()
    assert arrival().deposit == waiting
    assert deposits.locked(other).state == "pending"


def test_each_output_of_one_transaction_is_credited_by_itself(the_custodian, address, client):
    txid = the_custodian.send(address.address, "0.25")
    the_custodian.send(address.address, "0.25", txid=txid, output=1)
    the_custodian.mine(3)
    read()
    assert CoinArrival.objects.filter(state=State.CREDITED).count() == 2
    assert desk.in_wallet(client, "BTC") == D("0.5")


def test_what_a_chain_forgets_before_it_is_deep_enough_is_dropped_and_comes_back_in_another_block(
    the_custodian, address, client
):
    txid = the_custodian.send(address.address, "0.25")
    the_custodian.mine(2)
    read()
    the_custodian.ask("POST", "simulator/reorganizations", txid=txid, comes_back=True)
    the_custodian.mine(2)
    read()
    assert (arrival().state, desk.in_wallet(client, "BTC")) == (State.CONFIRMING, 0)
    the_custodian.ask("POST", "simulator/reorganizations", txid=txid)
    the_custodian.mine(5)
    read()
    found = arrival()
    assert (found.state, found.why) == (
        State.DROPPED,
        "The chain has no block with it any more. It is credited if a later block has it.",
    )
    assert (desk.in_wallet(client, "BTC"), Deposit.objects.count()) == (0, 0)


def test_what_a_chain_forgets_after_it_was_credited_waits_for_a_person(the_custodian, address, client):
    txid = the_custodian.send(address.address, "0.25")
    the_custodian.mine(3)
    read()
    the_custodian.ask("POST", "simulator/reorganizations", txid=txid)
    read()
    assert (arrival().state, desk.in_wallet(client, "BTC")) == (State.LOST, D("0.25"))
    done = coins.close(arrival(), by=BY, at=NOW, key="k", reason="Taken back by an adjustment.")
    assert done.state == State.CLOSED
    assert coins.close(arrival(), by=BY, at=NOW, key="k", reason="Taken back by an adjustment.") == done


def test_too_few_coins_stay_beside_the_wallets_until_a_person_credits_them(the_custodian, address, client):
    the_custodian.send(address.address, "0.0005")
    the_custodian.mine(3)
    read()
    found = arrival()
    assert (found.state, found.problem) == (State.TOO_SMALL, "At least 0.001 BTC is credited.")
    assert (desk.in_wallet(client, "BTC"), coins.beside("BTC").posted) == (0, D("0.0005"))
    for _ in range(2):
        coins.credit_all_the_same(found, by=BY, at=NOW, key="k", reason="A good client.")
    assert (arrival().state, desk.in_wallet(client, "BTC")) == (State.CREDITED, D("0.0005"))
    assert (coins.beside("BTC").posted, custody("BTC").posted) == (0, D("0.0005"))


def test_coins_that_are_not_too_few_are_not_credited_by_hand(the_custodian, address, client):
    the_custodian.send(address.address, "0.25")
    read()
    with pytest.raises(MoveNotAllowed):
        coins.credit_all_the_same(arrival(), by=BY, at=NOW, key="k", reason="In a hurry.")
    with pytest.raises(MoveNotAllowed):
        coins.credit(arrival(), height=10**6, at=NOW)
    assert (arrival().state, desk.in_wallet(client, "BTC")) == (State.SEEN, 0)


def test_coins_to_an_address_of_nobody_s_change_nothing(the_custodian, address):
    the_custodian.send(the_custodian.address("somebody else"), "0.25")
    the_custodian.mine(3)
    assert read() >= 2
    assert not CoinArrival.objects.exists()


@pytest.mark.parametrize("fault", ["drop", "lose_answer", "error_after", "repeat"])
def test_a_question_that_fails_leaves_what_was_read_and_the_next_one_goes_on(
    the_custodian, address, client, fault
):
    the_custodian.send(address.address, "0.25")
    the_custodian.mine(3)
    the_custodian.fault(fault, call="changes")
    for _ in range(2):
        try:
            read()
        except coins.ProviderError as found:
            assert found.code in ("NO_ANSWER", "SERVER_ERROR")
    assert desk.in_wallet(client, "BTC") == D("0.25")
