"""Where clients' money may go: what is checked when it is added, and what nothing is paid to."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from backoffice.errors import InvalidInput, KeyReused
from backoffice.models import Currency, Event
from ledger import beneficiaries, crypto_addresses, withdrawals
from ledger.beneficiaries import BeneficiaryKnown, BeneficiaryRemoved, WithdrawalNotOffered
from ledger.models import Beneficiary
from ledger.withdrawals import BeneficiaryTooNew
from tests.ledger import paying
from tests.ledger import payments as desk
from tests.ledger.paying import BY, IBANS, NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


@pytest.fixture
def amina():
    return paying.funded()


def test_an_iban_is_kept_encrypted_shown_by_its_ends_and_its_bank_looked_up(amina):
    row = paying.beneficiary(amina, number="de75 5121 0800 1245 1261 99")
    assert (row.number, row.hint, row.country, row.bic[:6]) == (IBANS[0], "DE…6199", "DE", "SOGEDE")
    with connection.cursor() as cursor:
        cursor.execute("SELECT number, fingerprint FROM ledger_beneficiary WHERE id = %s", [row.pk])
        stored = cursor.fetchone()
    assert IBANS[0] not in stored[0] and "6199" not in "".join(stored)
    event = Event.objects.get(name="beneficiary.added")
    assert IBANS[0] not in str(event.payload) and row.holder not in str(event.payload)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"number": "DE75512108001245126198"}, "number"), ({"number": "DE7551210800124512619"}, "number"),
        ({"number": "XX75512108001245126199"}, "number"), ({"number": ""}, "number"), ({"number": "DE' OR 1=1 --"}, "number"),
        ({"bic": "NOTABIC"}, "bic"), ({"bic": "ABNANL2A"}, "bic"), ({"holder": "A"}, "holder"), ({"holder": "A\x00mina"}, "holder"),
    ],
)  # fmt: skip
def test_what_is_no_account_is_refused_by_its_field_and_nothing_is_kept(amina, given, field):
    with pytest.raises(InvalidInput) as refused:
        paying.beneficiary(amina, **given)
    assert refused.value.field == field and not Beneficiary.objects.exists()


def test_the_same_key_is_the_same_beneficiary_and_the_same_account_is_known(amina):
    row = paying.beneficiary(amina, key="one")
    assert paying.beneficiary(amina, key="one") == row
    with pytest.raises(KeyReused):
        paying.beneficiary(amina, key="one", number=IBANS[1])
    with pytest.raises(BeneficiaryKnown):
        paying.beneficiary(amina, key="two")
    assert Beneficiary.objects.count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        row.pk, row.uuid, row.key = None, None, "raw"
        row.save(force_insert=True)
    beneficiaries.remove(Beneficiary.objects.get(), by=BY, at=NOW)
    assert paying.beneficiary(amina, key="two").pk != row.pk


def test_without_a_route_nothing_is_offered(amina):
    with pytest.raises(WithdrawalNotOffered):
        beneficiaries.add(
            amina, method="bank", currency="USD", holder="Amina", number=IBANS[0], by=BY, at=NOW, key="k"
        )


def test_nothing_is_paid_before_the_cool_off_is_over_nor_to_what_was_removed(amina):
    paying.route(cool_off_hours=24)
    row = paying.beneficiary(amina)
    with pytest.raises(BeneficiaryTooNew):
        paying.withdrawal(amina, to=row, at=NOW + timedelta(hours=24) - timedelta(seconds=1))
    assert paying.withdrawal(amina, "10.00", to=row, at=NOW + timedelta(hours=24)).state == "waiting"
    beneficiaries.remove(row, by=BY, at=NOW)
    with pytest.raises(BeneficiaryRemoved):
        paying.withdrawal(amina, to=Beneficiary.objects.get(), at=NOW + timedelta(hours=25))
    assert withdrawals.Withdrawal.objects.count() == 1 and desk.in_wallet(amina) == 1000


@pytest.mark.parametrize(
    ("currency", "network", "address"),
    [
        # Examples of the standards: BIP 173 and 350, EIP-55; Bitcoin's first block; the contract of a token on Tron.
        ("BTC", "", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"), ("BTC", "bitcoin", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"),
        ("BTC", "", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"),
        ("BTC", "", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"),
        ("ETH", "", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"), ("USDT", "tron", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"),
    ],
)  # fmt: skip
def test_an_address_is_good_by_its_own_check_sum_and_never_with_one_sign_changed(currency, network, address):
    _, kept = crypto_addresses.checked(currency, network, f" {address} ")
    assert kept.lower() == address.lower()
    for place in range(4, len(address), 5):
        other = "2" if address[place] != "2" else "3"
        changed = address[:place] + other + address[place + 1 :]
        with pytest.raises(InvalidInput):
            crypto_addresses.checked(currency, network, changed)


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("bitcoin", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"), ("bitcoin", "bc1pw5dgrnzv"), ("bitcoin", "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"),
        ("bitcoin", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh"), ("bitcoin", "bC1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
    ],
)  # fmt: skip
def test_addresses_of_other_networks_and_broken_ones_are_none(network, address):
    with pytest.raises(InvalidInput):
        crypto_addresses.checked("BTC", network, address)


def test_an_address_without_capitals_is_checked_by_nothing_and_not_taken():
    with pytest.raises(InvalidInput):
        crypto_addresses.checked("ETH", "", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
    with pytest.raises(InvalidInput) as refused:
        crypto_addresses.checked("BTC", "tron", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
    assert refused.value.field == "network" and Currency.objects.filter(pk="BTC").exists()
