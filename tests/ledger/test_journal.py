"""Journal entries: balanced, once for a key, all or nothing, in one round trip."""

import uuid
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from backoffice.errors import DomainError, InvalidInput, KeyReused
from backoffice.models import Event
from backoffice.money import InvalidAmount
from ledger import accounts, journal
from ledger.models import Entry, Posting
from ledger.refusals import (
    AlreadyReversed,
    InsufficientFunds,
    MixedBooks,
    NothingToPost,
    Unbalanced,
    UnknownAccount,
)
from tests.ledger.world import BY, NOON, D, World, fresh, move, new_key, picture, transfer_lines


def post(*lines: journal.Line, **more: Any) -> journal.Posted:
    return journal.post(lines=lines, **{"kind": "test", "by": BY, "at": NOON, "key": new_key(), **more})


def test_an_entry_moves_balances_and_answers_with_them(world: World) -> None:
    ada, ben = world.wallet("ada", funds="100.00"), world.wallet("ben")
    posted = move(ada, ben, "25.50")
    assert not posted.replayed
    assert posted.balances == {
        ada.pk: journal.Balance(D("74.50"), D("0.00")),
        ben.pk: journal.Balance(D("25.50"), D("0.00")),
    }
    assert str(posted.balances[ada.pk].available) == "74.50"
    assert (fresh(ada).posted, fresh(ben).posted) == (D("74.5"), D("25.5"))
    rows = Posting.objects.filter(entry_id=posted.entry_id).order_by("line")
    assert [(p.line, p.account_id, p.side, p.amount, p.balance_after) for p in rows] == [
        (1, ada.pk, "debit", D("25.5"), D("74.5")),
        (2, ben.pk, "credit", D("25.5"), D("25.5")),
    ]


def test_an_entry_keeps_who_when_why_and_what_about(world: World) -> None:
    ada, ben, trade = world.wallet("ada", funds=10), world.wallet("ben"), uuid.uuid4()
    posted = move(
        ada,
        ben,
        1,
        reference="T-1",
        narration="a gift",
        subject=("trade", trade),
        client_id=ada.client_id,
        business_date=date(2026, 2, 28),
        key="the key",
    )
    entry = Entry.objects.get(uuid=posted.uuid)
    assert (entry.book, entry.kind, entry.reference, entry.narration) == ("demo", "transfer", "T-1", "a gift")
    assert (entry.subject_type, entry.subject_id, entry.client_id) == ("trade", trade, ada.client_id)
    assert (entry.by, entry.by_user_id, entry.key) == ("system:test", None, "the key")
    assert (entry.effective_at, entry.business_date) == (NOON, date(2026, 2, 28))
    assert list(Entry.objects.about("trade", trade)) == [entry]


def test_the_event_is_written_with_the_entry_and_carries_ids_and_amounts(world: World) -> None:
    ada, ben = world.wallet("ada", funds=10), world.wallet("ben")
    posted = move(ada, ben, "1.5", key="the key", client_id=ada.client_id)
    event = Event.objects.get(subject_type="entry", subject_id=posted.uuid)
    assert (event.name, event.version, event.by, event.at, event.key) == (
        "journal.posted",
        1,
        "system:test",
        NOON,
        "the key",
    )
    assert event.client_id == ada.client_id
    assert event.payload == {
        "book": "demo",
        "kind": "transfer",
        "lines": [f"debit 1.50 USD {ada.uuid}", f"credit 1.50 USD {ben.uuid}"],
        "about": "",
        "about_id": None,
    }


def test_the_same_key_with_the_same_content_is_posted_once(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    first = move(ada, ben, "10", key="once")
    before = picture()
    again = move(ada, ben, "10.00", key="once", at=NOON + timedelta(hours=1))
    assert (again.entry_id, again.uuid, again.replayed) == (first.entry_id, first.uuid, True)
    assert again.balances == first.balances
    assert picture() == before


def test_a_replay_answers_with_the_balances_as_they_stand_now(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    move(ada, ben, 10, key="once")
    move(ada, ben, 5)
    assert move(ada, ben, 10, key="once").balances[ben.pk].posted == 15


CHANGED: dict[str, dict[str, Any]] = {
    "amount": {"amount": 11},
    "kind": {"kind": "gift"},
    "reference": {"reference": "other"},
    "subject": {"subject": ("trade", uuid.uuid4())},
}


@pytest.mark.parametrize("what", CHANGED)
def test_the_same_key_with_other_content_is_refused(world: World, what: str) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    move(ada, ben, 10, key="once")
    before = picture()
    with pytest.raises(KeyReused):
        move(ada, ben, **{"amount": 10, "key": "once", **CHANGED[what]})
    assert picture() == before


def test_the_same_key_for_wholly_different_accounts_is_refused(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    eve, fay = world.wallet("eve", funds=100), world.wallet("fay")
    move(ada, ben, 10, key="once")
    before = picture()
    with pytest.raises(KeyReused):
        move(eve, fay, 10, key="once")
    assert picture() == before


def test_an_entry_in_two_currencies_balances_in_each(world: World) -> None:
    usd, eur = world.wallet("ada", funds=100), world.wallet("ada", currency="EUR")
    post(
        journal.debit(usd, D("10.80")),
        journal.credit(accounts.house("demo", "USD", "exchange", "equity"), D("10.80")),
        journal.debit(accounts.house("demo", "EUR", "exchange", "equity"), D("10")),
        journal.credit(eur, D("10")),
    )
    assert (fresh(usd).posted, fresh(eur).posted) == (D("89.2"), 10)


def test_one_account_may_stand_on_several_lines_and_only_the_end_counts(world: World) -> None:
    ada, ben = world.wallet("ada", funds=10), world.wallet("ben")
    posted = post(
        journal.debit(ada, D(15)),
        journal.credit(ben, D(15)),
        journal.credit(ada, D(6)),
        journal.debit(ben, D(6)),
    )
    assert posted.balances[ada.pk].posted == 1
    after = (
        Posting.objects.filter(entry_id=posted.entry_id)
        .order_by("line")
        .values_list("balance_after", flat=True)
    )
    assert list(after) == [-5, 15, 1, 9]


Refused = tuple[type[DomainError], Callable[[World], list[journal.Line]]]
REFUSALS: dict[str, Refused] = {
    "no lines": (NothingToPost, lambda w: []),
    "one line": (NothingToPost, lambda w: [journal.debit(w.wallet("ada"), D(1))]),
    "debits without credits": (
        Unbalanced,
        lambda w: [journal.debit(w.wallet("ada"), D(1)), journal.debit(w.wallet("ben"), D(1))],
    ),
    "other amounts on both sides": (
        Unbalanced,
        lambda w: [journal.debit(w.wallet("ada"), D(2)), journal.credit(w.wallet("ben"), D(1))],
    ),
    "two currencies as if they were one": (
        Unbalanced,
        lambda w: [
            journal.debit(w.wallet("ada"), D(1)),
            journal.credit(w.wallet("ada", currency="EUR"), D(1)),
        ],
    ),
    "two books": (MixedBooks, lambda w: transfer_lines(w.wallet("ada"), w.wallet("ada", book="real"), 1)),
    "a mirror and its book": (
        MixedBooks,
        lambda w: transfer_lines(w.wallet("ada"), w.wallet("ada", book="demo_mirror", guarded=False), 1),
    ),
    "nothing": (InvalidAmount, lambda w: transfer_lines(w.wallet("ada"), w.wallet("ben"), 0)),
    "less than nothing": (InvalidAmount, lambda w: transfer_lines(w.wallet("ada"), w.wallet("ben"), -1)),
    "a fraction of a cent": (
        InvalidAmount,
        lambda w: transfer_lines(w.wallet("ada"), w.wallet("ben"), "0.001"),
    ),
    "nineteen decimals": (InvalidAmount, lambda w: transfer_lines(w.wallet("ada"), w.wallet("ben"), "1e-19")),
    "an endless tail": (
        InvalidAmount,
        lambda w: transfer_lines(w.wallet("ada"), w.wallet("ben"), "1e-999999"),
    ),
    "not a number": (InvalidAmount, lambda w: transfer_lines(w.wallet("ada"), w.wallet("ben"), "NaN")),
    "without end": (InvalidAmount, lambda w: transfer_lines(w.wallet("ada"), w.wallet("ben"), "Infinity")),
    "astronomic": (InvalidAmount, lambda w: transfer_lines(w.wallet("ada"), w.wallet("ben"), "1e20")),
    "more than there is": (
        InsufficientFunds,
        lambda w: transfer_lines(w.wallet("ada"), w.wallet("ben"), "100.01"),
    ),
    "an account that is not": (
        UnknownAccount,
        lambda w: [journal.debit(w.wallet("ada"), D(1)), journal.credit(2**40, D(1))],
    ),
}


@pytest.mark.parametrize("dry_run", [False, True], ids=["posted", "dry run"])
@pytest.mark.parametrize("what", REFUSALS)
def test_a_refused_entry_leaves_nothing_behind_and_the_transaction_alive(
    world: World, what: str, dry_run: bool
) -> None:
    world.wallet("ada", funds=100)
    refusal, make = REFUSALS[what]
    lines = make(world)
    before = picture()
    with transaction.atomic():
        with pytest.raises(refusal) as refused:
            post(*lines, dry_run=dry_run)
        assert picture() == before  # asked in the same transaction, which still answers
    assert refused.value.message


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_key_must_be_given_and_short(world: World, key: str) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    with pytest.raises(InvalidInput) as refused:
        move(ada, ben, 1, key=key)
    assert refused.value.field == "key"


def test_an_amount_that_is_not_a_decimal_is_a_bug_and_not_a_refusal(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    with pytest.raises(TypeError):
        post(journal.debit(ada, 1.5), journal.credit(ben, 1.5))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="time zone"):
        move(ada, ben, 1, at=NOON.replace(tzinfo=None))


def test_eighteen_decimals_and_nineteen_digits_are_exact(world: World) -> None:
    world.currency("WEI", 18)
    ada, ben = (
        world.wallet("ada", funds="9999999999999999999.000000000000000001", currency="WEI"),
        world.wallet("ben", currency="WEI"),
    )
    posted = move(ada, ben, "0.000000000000000001")
    assert str(posted.balances[ada.pk].posted) == "9999999999999999999.000000000000000000"
    assert posted.balances[ben.pk].posted == Decimal("1e-18")


def test_a_balance_that_would_not_fit_is_refused(world: World) -> None:
    ada = world.wallet("ada", funds="99999999999999999999.99")
    before = picture()
    with pytest.raises(InvalidAmount):
        post(journal.debit(world.bank(), D("0.01")), journal.credit(ada, D("0.01")))
    assert picture() == before


def test_an_unguarded_account_may_go_below_zero(world: World) -> None:
    mirror = world.wallet("ada", book="demo_mirror", guarded=False)
    other = world.wallet("ben", book="demo_mirror", guarded=False)
    assert move(mirror, other, 5).balances[mirror.pk].posted == -5


def test_held_money_cannot_be_posted_away(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    world.hold(ada, 60)
    before = picture()
    with pytest.raises(InsufficientFunds):
        move(ada, ben, "40.01")
    assert picture() == before
    assert move(ada, ben, 40).balances[ada.pk] == journal.Balance(D(60), D(60))


def test_a_dry_run_answers_the_same_and_changes_nothing(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    before = picture()
    dry = move(ada, ben, 30, key="k", dry_run=True)
    assert picture() == before
    real = move(ada, ben, 30, key="k")
    assert (dry.entry_id, dry.replayed, dry.balances) == (None, False, real.balances)
    replayed = move(ada, ben, 30, key="k", dry_run=True)
    assert (replayed.entry_id, replayed.replayed) == (real.entry_id, True)


def test_a_batch_is_posted_in_order_and_each_entry_counts_on_the_ones_before(world: World) -> None:
    ada, ben, eve = world.wallet("ada", funds=10), world.wallet("ben"), world.wallet("eve")
    drafts = [
        journal.Draft(kind="a", lines=transfer_lines(ada, ben, 10), at=NOON, key="1"),
        journal.Draft(kind="b", lines=transfer_lines(ben, eve, 10), at=NOON, key="2"),
        journal.Draft(kind="c", lines=transfer_lines(eve, ada, 4), at=NOON, key="3"),
    ]
    posted = journal.post_many(drafts, by=BY)
    assert [p.balances[ben.pk].posted for p in posted[:2]] == [10, 0]
    assert posted[2].balances == {eve.pk: journal.Balance(D(6), D(0)), ada.pk: journal.Balance(D(4), D(0))}
    assert list(Entry.objects.order_by("id").values_list("kind", flat=True))[-3:] == ["a", "b", "c"]
    assert [p.entry_id for p in posted] == sorted(p.entry_id or 0 for p in posted)


def test_a_batch_with_one_refused_entry_posts_none(world: World) -> None:
    ada, ben = world.wallet("ada", funds=10), world.wallet("ben")
    before = picture()
    drafts = [
        journal.Draft(kind="a", lines=transfer_lines(ada, ben, amount), at=NOON, key=new_key())
        for amount in (4, 4, 4)
    ]
    with pytest.raises(InsufficientFunds):
        journal.post_many(drafts, by=BY)
    with pytest.raises(NothingToPost):
        journal.post_many([], by=BY)
    assert picture() == before


def test_a_batch_may_repeat_what_was_posted_and_repeat_itself(world: World) -> None:
    ada, ben = world.wallet("ada", funds=10), world.wallet("ben")
    first = move(ada, ben, 1, key="old")
    old = journal.Draft(kind="transfer", lines=transfer_lines(ada, ben, 1), at=NOON, key="old")
    new = journal.Draft(kind="transfer", lines=transfer_lines(ada, ben, 2), at=NOON, key="new")
    posted = journal.post_many([old, new, new, old], by=BY)
    assert [p.replayed for p in posted] == [True, False, True, True]
    assert posted[0].entry_id == posted[3].entry_id == first.entry_id
    assert posted[1].entry_id == posted[2].entry_id
    assert fresh(ben).posted == 3
    other = journal.Draft(kind="transfer", lines=transfer_lines(ada, ben, 3), at=NOON, key="new")
    before = picture()
    for batch in ([other], [new, other]):
        with pytest.raises(KeyReused):
            journal.post_many(batch, by=BY)
    assert picture() == before


def test_a_reversal_is_the_mirror_image_and_happens_once(world: World) -> None:
    ada, ben = world.wallet("ada", funds=10), world.wallet("ben")
    entry = Entry.objects.get(pk=move(ada, ben, 4, reference="R", narration="oops").entry_id)
    posted = journal.reverse(entry, reason="sent in error", by=BY, at=NOON, key="back")
    assert (fresh(ada).posted, fresh(ben).posted) == (10, 0)
    reversal = Entry.objects.get(pk=posted.entry_id)
    assert (reversal.kind, reversal.narration, reversal.reverses) == ("reversal", "sent in error", entry)
    assert journal.reverse(entry, reason="sent in error", by=BY, at=NOON, key="back").replayed
    before = picture()
    with pytest.raises(AlreadyReversed):
        journal.reverse(entry, reason="again", by=BY, at=NOON, key="back again")
    assert picture() == before


def test_what_was_spent_since_cannot_be_taken_back_by_a_reversal(world: World) -> None:
    ada, ben = world.wallet("ada", funds=10), world.wallet("ben")
    entry = Entry.objects.get(pk=move(ada, ben, 4).entry_id)
    move(ben, ada, 1)
    before = picture()
    with pytest.raises(InsufficientFunds):
        journal.reverse(entry, reason="too late", by=BY, at=NOON, key="back")
    assert picture() == before


def test_posting_is_one_round_trip_however_many_entries(world: World, django_assert_num_queries: Any) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    with django_assert_num_queries(1):
        move(ada, ben, 1)
    drafts = [
        journal.Draft(kind="x", lines=transfer_lines(ada, ben, 1), at=NOON, key=new_key()) for _ in range(20)
    ]
    with django_assert_num_queries(1):
        journal.post_many(drafts, by=BY)
