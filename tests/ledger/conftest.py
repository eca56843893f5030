"""The ledger's own world."""

import pytest

from tests.ledger.world import World


@pytest.fixture
def world(db: None) -> World:
    return World()
