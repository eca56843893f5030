"""The ledger's own world."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.ledger.world import World


@pytest.fixture
def world(db: None) -> "World":
    from tests.ledger.world import World  # only now: this file is read before Django is set up

    return World()
