"""The custodian: what its simulator keeps through `kill -9`, and how each way of a call to end is understood."""

import pytest

from ledger.crypto_addresses import NETWORKS, checked
from ledger.custodian import client
from ledger.custodian.simulator.addresses import made
from ledger.custodian.simulator.books import Books, Refusal
from ledger.providers.port import AnswerLost, NotSent, Refused
from tests.ledger.custodian import CustodianProcess
from tests.running import free_port

PAYOUT = {"currency": "BTC", "network": "bitcoin", "address": made("bitcoin", "somewhere"), "amount": "0.5"}


@pytest.fixture
def funded(the_custodian):
    the_custodian.send(the_custodian.address("somebody"), "100")
    the_custodian.mine()
    return the_custodian


def pay(public_id: str, **given) -> client.Payout:
    return client.pay(public_id, **{**PAYOUT, **given})


@pytest.mark.parametrize(
    ("currency", "network"), [(code, one) for code, found in NETWORKS.items() for one in found]
)
def test_every_address_it_gives_checks_by_its_network_s_own_sum(currency, network):
    for number in range(20):
        address = made(network, f"{currency} {number}")
        assert checked(currency, network, address) == (network, address)


@pytest.mark.parametrize(
    ("fault", "ends", "is_paid"),
    [
        ("drop", AnswerLost, False),
        ("lose_answer", AnswerLost, True),
        ("error_before", AnswerLost, False),  # an error says nothing of what was done before it
        ("error_after", AnswerLost, True),
        ("refuse", Refused, False),
    ],
)
def test_only_what_certainly_did_nothing_may_be_sent_again(funded, fault, ends, is_paid):
    funded.fault(fault, id=fault)
    with pytest.raises(ends):
        pay(fault)
    assert (client.payout(fault) is not None) == is_paid


def test_a_custodian_that_nobody_reaches_was_sent_nothing(settings):
    settings.CONFIG = settings.CONFIG.model_copy(update={"custodian_url": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(NotSent):
        pay("nobody")


def test_a_token_that_is_not_right_and_coins_that_are_not_there_are_for_later(tmp_path, settings):
    with CustodianProcess(tmp_path / "own.sqlite3", "--token", "a secret of ours") as own:
        settings.CONFIG = settings.CONFIG.model_copy(
            update={"custodian_url": own.url, "custodian_token": "another"}
        )
        with pytest.raises(NotSent, match="UNAUTHORIZED"):
            pay("token")
        settings.CONFIG = settings.CONFIG.model_copy(update={"custodian_token": "a secret of ours"})
        with pytest.raises(NotSent, match="INSUFFICIENT_FUNDS"):
            pay("coins")
        assert own.books()["payouts"] == []


def test_an_id_that_is_sent_again_is_one_payout_and_with_other_content_nobody_knows(funded):
    assert pay("twice") == pay("twice")
    with pytest.raises(AnswerLost, match="ID_USED"):
        pay("twice", amount="0.25")


def test_what_it_answered_is_there_after_kill_9(funded):
    done = pay("kept")
    books = funded.books()
    funded.kill()
    funded.start()
    assert funded.books() == books
    assert client.payout("kept") == done


def test_an_answer_that_cannot_be_read_is_an_answer_lost(funded):
    for wrong in (
        {},
        {"number": "x"},
        {"number": 1, "id": "i", "currency": "BTC", "amount": "lots", "txid": "t"},
    ):
        with pytest.raises(AnswerLost, match="BAD_ANSWER"):
            client._payout(wrong)


def test_its_books_refuse_amounts_that_are_none_and_coins_to_nobody():
    books = Books(None)
    with pytest.raises(Refusal, match="above zero"):
        books.pay({**PAYOUT, "id": "i", "amount": "0"})
    with pytest.raises(Refusal, match="nobody's"):
        books.receive(made("bitcoin", "nobody"), "1")
    assert (books.payouts(0, 10), books.balances()) == ([], {})
