"""A deposit in its client's history: once, as a request until the money comes and as its posting afterwards."""

from decimal import Decimal

import pytest

from ledger import deposits, history
from ledger.history import Asked, Status, Type
from tests.ledger import payments as desk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


def told(client, **given):
    return history.page(Asked(clients=[client.uuid], limit=10, **given))


def test_a_deposit_is_told_once_before_the_money_comes_and_once_after():
    desk.fee(fixed=desk.D("1.50"))
    client = desk.client()
    row = desk.deposit(client)
    (line,) = told(client)
    assert (line.type, line.status, line.amount, line.reference, line.balance) == (
        Type.DEPOSIT, Status.PENDING, Decimal("100.00"), row.reference, None,
    )  # fmt: skip
    desk.complete(row, external_id="bank-4711")
    (line,) = told(client)
    assert (line.status, line.amount, line.fee, line.reference, line.external_id, line.balance) == (
        Status.COMPLETED, Decimal("98.50"), Decimal("1.50"), row.reference, "bank-4711", Decimal("98.50"),
    )  # fmt: skip


def test_what_was_called_off_stays_in_the_list_and_is_found_by_its_status():
    client = desk.client()
    deposits.cancel(desk.deposit(client), by=desk.BY, at=desk.NOW)
    desk.deposit(client, "7.00")
    assert [line.status for line in told(client)] == [Status.PENDING, Status.CANCELLED]
    assert [line.amount for line in told(client, statuses=[Status.PENDING])] == [Decimal("7.00")]
    assert told(client, types=[Type.FEE]) == [] and told(desk.client("Bruno")) == []
