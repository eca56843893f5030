"""Adjustments: who may agree, what is refused, and that each is reversed once."""

import pytest
from django.db import IntegrityError, connection, transaction

from backoffice.errors import InvalidInput, KeyReused, MoveNotAllowed
from backoffice.money import InvalidAmount
from backoffice.who import By
from compliance import approvals
from ledger import adjustment_defaults, adjustments
from ledger.control import invariants
from ledger.models import Adjustment, AdjustmentCategory
from tests import world
from tests.ledger import transferring as desk
from tests.ledger.test_transfers import refuses
from tests.ledger.transferring import BY, NOW, D

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


@pytest.fixture
def amina():
    return desk.funded("1000.00")


def applied(client, **given):
    row = desk.adjustment(client, **given)
    assert desk.approve(row).state == "applied"
    return adjustments.whole().get(pk=row.pk)


def back(row, **given):
    by = given.pop("by", None) or By.user(desk.maker())
    return adjustments.reverse(row, reason="A mistake.", by=by, at=NOW, key=world.key())


def test_nobody_agrees_to_their_own_whatever_the_policy_says(amina):
    from compliance.models import ApprovalPolicy

    ApprovalPolicy.objects.create(kind="adjustment", approvers=0, from_amount=0)
    user = desk.checker()
    row = desk.adjustment(amina, by=By.user(user))
    assert (row.state, desk.waiting(row).needed, desk.in_wallet(amina)) == ("waiting", 1, 1000)
    refuses(approvals.OwnRequest, lambda: desk.approve(row, user))
    assert desk.approve(row).state == "applied"


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ({"amount": "0"}, InvalidInput), ({"amount": "1.001"}, InvalidAmount), ({"reason": " "}, InvalidInput),
        ({"direction": "sideways"}, InvalidInput), ({"direction": "debit"}, adjustments.CategoryNotFit),
        ({"amount": "50.01"}, adjustments.CategoryNotFit),
    ],
)  # fmt: skip
def test_what_is_not_a_proper_adjustment_leaves_nothing(amina, asked, refusal):
    category, by = desk.category("Small", direction="credit", most=D("50")), By.user(desk.maker())
    refuses(refusal, lambda: desk.adjustment(amina, **{"category": category, "by": by, **asked}))


def test_a_category_that_is_not_in_use_is_for_nothing(amina):
    category, by = desk.category("Gone", is_active=False), By.user(desk.maker())
    refuses(adjustments.CategoryNotFit, lambda: desk.adjustment(amina, category=category, by=by))


def test_only_wallets_of_real_money_are_adjusted(amina):
    house, category = adjustments.against(desk.category(), "EUR"), desk.category()
    refuses(InvalidInput, lambda: adjustments.make(
        house, direction="credit", amount="1.00", category=category, reason="No.", by=BY, at=NOW, key="k"), field="wallet")  # fmt: skip


def test_the_same_key_is_the_same_adjustment_and_for_nothing_else(amina):
    by = By.user(desk.maker())
    row = desk.adjustment(amina, by=by, key="one")
    assert desk.adjustment(amina, by=by, key="one") == row
    refuses(KeyReused, lambda: desk.adjustment(amina, "21.00", by=by, key="one"))
    assert desk.adjustment(amina, key="one") != row, "keys are each person's own"


def test_what_a_client_does_not_have_is_not_taken_and_the_adjustment_waits_to_be_called_off(amina):
    row = desk.adjustment(amina, "1000.01", direction="debit")
    found = desk.approve(row)
    assert (found.state, found.code, desk.in_wallet(amina)) == ("failed", "INSUFFICIENT_FUNDS", 1000)
    assert adjustments.cancel(row, by=BY, at=NOW, reason="Not there.").state == "cancelled"
    assert adjustments.cancel(row, by=BY, at=NOW, reason="Not there.").state == "cancelled"


def test_called_off_or_rejected_nothing_is_booked_and_nothing_more_happens(amina):
    row = adjustments.cancel(desk.adjustment(amina), by=BY, at=NOW, reason="A mistake.")
    assert (row.state, desk.waiting(row).state) == ("cancelled", "voided")
    other = desk.adjustment(amina)
    approvals.reject(desk.waiting(other), reason="Why?", by=By.user(desk.checker()), at=NOW, key="no")
    other = adjustments.whole().get(pk=other.pk)
    assert (other.state, other.problem, desk.in_wallet(amina)) == ("rejected", "Why?", 1000)
    refuses(MoveNotAllowed, lambda: adjustments.cancel(other, by=BY, at=NOW, reason="Late."))


def test_what_nobody_decides_expires(amina):
    from datetime import timedelta

    row = desk.adjustment(amina)
    approvals.expire_due(at=NOW + timedelta(days=30))
    assert adjustments.whole().get(pk=row.pk).state == "expired"


def test_an_adjustment_is_reversed_once_by_another_that_somebody_agrees_to(amina):
    row = applied(amina)
    first, by = back(row), By.user(desk.maker())
    refuses(adjustments.AdjustmentReversed, lambda: back(row, by=by))
    adjustments.cancel(first, by=BY, at=NOW, reason="Not so.")
    second = back(row)
    desk.approve(second)
    second = adjustments.whole().get(pk=second.pk)
    assert (second.state, second.reverses, second.entry.reverses, desk.in_wallet(amina)) == (
        "applied",
        row,
        row.entry,
        1000,
    )
    refuses(adjustments.AdjustmentReversed, lambda: back(row, by=by))
    refuses(MoveNotAllowed, lambda: back(second, by=by))


def test_what_was_spent_meanwhile_cannot_be_taken_back(amina):
    row = applied(amina)
    applied(amina, amount="1010.00", direction="debit")
    again = back(row)
    found = desk.approve(again)
    assert (found.state, found.code, desk.in_wallet(amina)) == ("failed", "INSUFFICIENT_FUNDS", 10)


def test_the_database_has_no_applied_one_without_entry_and_approval_nor_two_reversals(amina):
    row = applied(amina)
    back(row)
    for sql in (
        "UPDATE ledger_adjustment SET entry_id = NULL WHERE id = %s",
        "UPDATE ledger_adjustment SET approval_id = NULL WHERE id = %s",
        "INSERT INTO ledger_adjustment (uuid, client_id, wallet_id, currency_id, direction, amount, category_id, reason, told, reverses_id, "
        "state, problem, made_by, key, made_at, changed_at) SELECT gen_random_uuid(), client_id, wallet_id, currency_id, 'debit', amount, "
        "category_id, 'x', '', id, 'waiting', '', 'x', 'x', made_at, changed_at FROM ledger_adjustment WHERE id = %s",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, [row.pk])


def test_one_that_its_maker_alone_agreed_to_is_found(amina):
    row = applied(amina)
    assert invariants.run("adjustments_agreed", by=BY, at=NOW).found == 0
    Adjustment.objects.filter(pk=row.pk).update(made_by_user=row.approval.votes.get().by_user)
    assert invariants.run("adjustments_agreed", by=BY, at=NOW).found == 1


def test_the_starting_categories_are_made_once_and_left_alone():
    made = adjustment_defaults.load()
    assert "Goodwill" in made or AdjustmentCategory.objects.filter(name="Goodwill").exists()
    AdjustmentCategory.objects.filter(name="Goodwill").update(most=1)
    assert adjustment_defaults.load() == []
    assert AdjustmentCategory.objects.get(name="Goodwill").most == 1
