"""What rules read of a client: since when they have their KYC level."""

from datetime import timedelta

import pytest

from compliance.conditions import level_since
from compliance.models import Client
from tests import world

pytestmark = pytest.mark.django_db


def raised(client, level):
    client.kyc_level = level
    client.save()
    return Client.history.filter(id=client.pk).latest("history_id").history_date


def test_a_level_that_never_changed_is_as_old_as_the_client():
    client = world.client().client
    assert level_since(client) == client.opened_at


def test_a_level_counts_from_when_it_was_last_reached():
    client = world.client().client
    raised(client, 2)
    raised(client, 1)
    reached = raised(client, 2)
    client.last_name = "Otieno"
    client.save()
    assert level_since(client) == reached


def test_a_level_set_behind_the_history_s_back_counts_from_when_it_was_last_known_to_be_another():
    client = world.client().client
    known = raised(client, 1)
    Client.objects.filter(pk=client.pk).update(kyc_level=3)
    client.refresh_from_db()
    assert level_since(client) == known and known - client.opened_at != timedelta(0)
