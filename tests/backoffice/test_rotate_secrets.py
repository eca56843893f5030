"""Sealing stored secrets with a newer key: all of them, once, and nothing else."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from backoffice import rotation, secrets
from backoffice.configuration import configuration
from brokerage.models import Grant, TradingAccount
from tests import world

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


@pytest.fixture
def with_keys(monkeypatch):
    """Have the deployment know these keys, until the test ends."""
    before = configuration().field_keys

    def set_keys(*keys):
        monkeypatch.setattr(configuration(), "field_keys", ",".join(keys))
        secrets._cipher.cache_clear()

    yield set_keys
    monkeypatch.setattr(configuration(), "field_keys", before)
    secrets._cipher.cache_clear()


def stored():
    """What the database keeps, as it keeps it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT token FROM brokerage_tradingaccount ORDER BY id")
        tokens = cursor.fetchall()
        cursor.execute("SELECT access_token, refresh_token FROM brokerage_grant ORDER BY id")
        return tokens + cursor.fetchall()


def run():
    printed = io.StringIO()
    call_command("rotate_secrets", stdout=printed)
    return printed.getvalue()


def test_every_encrypted_column_is_found():
    names = [f"{model._meta.label}.{name}" for model, name in rotation.columns()]
    assert {
        "brokerage.TradingAccount.token", "brokerage.Grant.access_token", "brokerage.Grant.refresh_token",
        "brokerage.GrantRequest.verifier", "jobs.FailedJob.message",
    } <= set(names)  # fmt: skip


def test_secrets_are_sealed_anew_and_the_old_key_can_go(with_keys):
    old, new = "o" * 43, "n" * 43
    with_keys(old)
    accounts = [world.account() for _ in range(5)]
    grant = world.granted().grant
    versions = Grant.history.count(), TradingAccount.history.count()
    before = stored()

    with_keys(new, old)
    printed = run()
    assert "brokerage.TradingAccount.token: 5 encrypted anew, 0 were current" in printed
    assert "brokerage.Grant.access_token: 1 encrypted anew" in printed
    secret = [account.token for account in accounts] + [grant.access_token, grant.refresh_token]
    assert not [one for one in secret if one in printed]
    assert (Grant.history.count(), TradingAccount.history.count()) == versions

    with_keys(new)
    assert [account.token for account in TradingAccount.objects.order_by("pk")][:5] == secret[:5]
    assert Grant.objects.get(pk=grant.pk).refresh_token == grant.refresh_token
    after = stored()
    assert all(one != other for one, other in zip(before, after, strict=True) if one[0])


def test_it_goes_on_where_it_was_interrupted_and_the_second_time_does_nothing(with_keys, monkeypatch):
    old, new = "o" * 43, "n" * 43
    with_keys(old)
    for _ in range(5):
        world.account()
    with_keys(new, old)
    seal, calls = rotation.reseal, []

    def dies_at_the_third(sealed):
        calls.append(sealed)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return seal(sealed)

    monkeypatch.setattr(rotation, "reseal", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        list(rotation.rotate(batch=2))
    monkeypatch.setattr(rotation, "reseal", seal)
    assert "brokerage.TradingAccount.token: 3 encrypted anew, 2 were current" in run(), (
        "a batch is kept whole"
    )
    before = stored()
    assert "0 encrypted anew, 5 were current" in run()
    assert stored() == before


def test_what_no_key_opens_is_counted_and_left_alone(with_keys):
    with_keys("lost" * 11)
    world.account()
    before = stored()
    with_keys("n" * 43)
    with pytest.raises(CommandError, match="1 secrets can be read with no key"):
        run()
    assert stored() == before
