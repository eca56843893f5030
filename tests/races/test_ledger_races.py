"""The ledger under real threads, each with its own connection and real commits.

The first test shows that they could fail: the posting function without its row lock lets two posts through the same
check. It is the same function, copied, with a place to wait where the race happens.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.db import IntegrityError, connection

from backoffice.errors import DomainError, KeyReused
from ledger import accounts, batch, holds, journal
from ledger.models import Account, Entry, Hold
from ledger.refusals import AlreadyReversed, HoldResolved, InsufficientFunds
from ledger.verify import verify
from tests.ledger.world import BY, NOON, D, World, fresh, move, new_key, transfer_lines

ROUNDS = 8
RENDEZVOUS = 7_302_026  # an advisory lock: the twins wait for it

WAITING = """FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND datname = current_database()"""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(transactional_db: None) -> Iterator[World]:
    """A ledger that is really committed; afterwards it must hold."""
    yield World()
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION IF EXISTS ledger_post_twin CASCADE")
    assert not [check for check in verify() if check.found]


def together(*verbs: Callable[[], Any], meanwhile: Callable[[], None] | None = None) -> list[Any]:
    """What each verb answered or raised, all of them begun at the same moment in threads of their own."""
    barrier = threading.Barrier(len(verbs))
    outcomes: list[Any] = [None] * len(verbs)

    def run(index: int, verb: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=20)
            outcomes[index] = verb()
        except Exception as error:  # noqa: BLE001 (the outcome is what is asked about)
            outcomes[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(verbs)]
    for thread in threads:
        thread.start()
    if meanwhile:
        meanwhile()
    for thread in threads:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes


def kinds(outcomes: Sequence[Any]) -> Counter[str]:
    """How many answered, were replays, or were refused or failed, and as what."""
    return Counter(
        type(one).__name__
        if isinstance(one, Exception)
        else "replayed"
        if getattr(one, "replayed", False)
        else "done"
        for one in outcomes
    )


def make_twin(*, locked: bool) -> None:
    """A copy of the posting function that waits between its checks and its writes; with or without the row lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef('ledger_post_now'::regproc)")
        source = cursor.fetchone()[0].replace("ledger_post_now", "ledger_post_twin")
        if not locked:
            assert " FOR NO KEY UPDATE OF r" in source
            source = source.replace(" FOR NO KEY UPDATE OF r", "")
        place = "    FOR h IN 1 .. cardinality(holds) LOOP"
        assert source.count(place) == 1
        wait = f"    PERFORM pg_advisory_xact_lock_shared({RENDEZVOUS});\n"
        cursor.execute(source.replace(place, wait + place).replace("%", "%%"), [])


@pytest.mark.parametrize("locked", [True, False], ids=["with its lock", "without its lock"])
def test_without_the_row_lock_two_posts_pass_the_same_check(
    world: World, locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = world.wallet("ada", funds=10), world.wallet("ben")
    make_twin(locked=locked)
    monkeypatch.setattr(batch, "POST", "ledger_post_twin")

    def both_wait() -> None:
        """Let go only when both wait: without the lock both at the rendezvous, with it one of them for the other."""
        with connection.cursor() as cursor:
            waiting = 0
            while waiting < 2:
                cursor.execute(f"SELECT count(DISTINCT pid) {WAITING}")
                waiting = cursor.fetchone()[0]
            cursor.execute(f"SELECT count(*) {WAITING} AND locktype = 'advisory'")
            assert cursor.fetchone()[0] == (1 if locked else 2)
            cursor.execute("SELECT pg_advisory_unlock(%s)", [RENDEZVOUS])

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [RENDEZVOUS])
    outcomes = together(lambda: move(ada, ben, 10), lambda: move(ada, ben, 10), meanwhile=both_wait)
    if locked:
        assert kinds(outcomes) == {"done": 1, "InsufficientFunds": 1}
    else:
        # Both saw 10 and went on to write: only the database's last guard stood between them and an overdraft.
        assert kinds(outcomes) == {"done": 1, "IntegrityError": 1}
        (error,) = [one for one in outcomes if isinstance(one, IntegrityError)]
        assert "account_covers_holds" in str(error)
    assert fresh(ada).posted == 0


def test_the_same_post_sent_at_once_is_posted_once(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    for round_ in range(ROUNDS):
        key = new_key()
        outcomes = together(*[lambda key=key: move(ada, ben, 1, key=key)] * 4)
        assert kinds(outcomes) == {"done": 1, "replayed": 3}
        assert len({one.entry_id for one in outcomes}) == 1
        assert fresh(ben).posted == round_ + 1


def test_one_key_for_two_things_at_once_posts_one_of_them(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    eve, fay = world.wallet("eve", funds=100), world.wallet("fay")
    for _ in range(ROUNDS):
        key = new_key()
        outcomes = together(
            lambda key=key: move(ada, ben, 1, key=key), lambda key=key: move(eve, fay, 1, key=key)
        )
        assert kinds(outcomes) == {"done": 1, "KeyReused": 1}
        assert any(isinstance(one, KeyReused) for one in outcomes)
    assert fresh(ben).posted + fresh(fay).posted == ROUNDS


def test_more_spenders_than_money_overdraw_nothing(world: World) -> None:
    for _ in range(ROUNDS):
        ada, ben = world.wallet(new_key(), funds=30), world.wallet("ben")
        before = fresh(ben).posted
        outcomes = together(*[lambda ada=ada, ben=ben: move(ada, ben, 10)] * 6)
        assert kinds(outcomes) == {"done": 3, "InsufficientFunds": 3}
        assert (fresh(ada).posted, fresh(ben).posted - before) == (0, 30)


def test_more_holds_than_money_hold_nothing_twice(world: World) -> None:
    for _ in range(ROUNDS):
        ada = world.wallet(new_key(), funds=25)
        outcomes = together(*[lambda ada=ada: world.hold(ada, 10)] * 5)
        assert kinds(outcomes) == {"done": 2, "InsufficientFunds": 3}
        assert fresh(ada).held == 20


def test_a_hold_and_a_post_do_not_both_get_the_same_money(world: World) -> None:
    ben = world.wallet("ben")
    for _ in range(ROUNDS):
        ada = world.wallet(new_key(), funds=10)
        outcomes = together(lambda ada=ada: world.hold(ada, 10), lambda ada=ada: move(ada, ben, 10))
        assert kinds(outcomes) == {"done": 1, "InsufficientFunds": 1}
        assert any(isinstance(one, InsufficientFunds) for one in outcomes)


def capture(hold: Hold, to: Account, key: str | None = None) -> journal.Posted:
    lines = [journal.credit(to, hold.amount)]
    return holds.capture(hold, lines=lines, kind="stake", by=BY, at=NOON, key=key or new_key())


def test_a_hold_captured_twice_at_once_is_captured_once(world: World) -> None:
    stakes = world.wallet("stakes")
    for round_ in range(ROUNDS):
        hold = world.hold(world.wallet(new_key(), funds=10), 10)
        outcomes = together(*[lambda hold=hold: capture(hold, stakes)] * 3)
        assert kinds(outcomes) == {"done": 1, "HoldResolved": 2}
        key = new_key()
        other = world.hold(world.wallet(new_key(), funds=10), 10)
        outcomes = together(*[lambda other=other, key=key: capture(other, stakes, key)] * 3)
        assert kinds(outcomes) == {"done": 1, "replayed": 2}
        assert fresh(stakes).posted == 20 * (round_ + 1)


def test_a_hold_is_either_captured_released_or_transferred(world: World) -> None:
    stakes = world.wallet("stakes")
    seen: Counter[str] = Counter()
    for _ in range(ROUNDS * 2):
        ada = world.wallet(new_key(), funds=10)
        hold = world.hold(ada, 10)
        outcomes = together(
            lambda hold=hold: capture(hold, stakes),
            lambda hold=hold: holds.release(hold, by=BY, at=NOON),
            lambda hold=hold: holds.transfer(hold, by=BY, at=NOON, key=new_key()),
        )
        assert kinds(outcomes) == {"done": 1, "HoldResolved": 2}
        assert sum(isinstance(one, HoldResolved) for one in outcomes) == 2
        state = Hold.objects.get(pk=hold.pk).state
        seen[state] += 1
        left = {"captured": (0, 0), "released": (10, 0), "transferred": (10, 10)}
        assert (fresh(ada).posted, fresh(ada).held) == left[state]
    assert sum(seen.values()) == ROUNDS * 2


def test_holds_that_are_due_expire_once_whoever_sweeps(world: World) -> None:
    ada, ben = world.wallet("ada", funds=50), world.wallet("ben", funds=50)
    for account in (ada, ben) * 10:
        world.hold(account, 1, expires_at=NOON)
    outcomes = together(*[lambda: holds.expire_due(NOON, limit=15)] * 3)
    while more := holds.expire_due(NOON):
        outcomes.append(more)
    assert sum(outcomes) == 20
    assert (fresh(ada).held, fresh(ben).held) == (0, 0)


def test_opposite_transfers_never_deadlock(world: World) -> None:
    ada, ben = world.wallet("ada", funds=1000), world.wallet("ben", funds=1000)

    def many(payer: Account, payee: Account) -> int:
        for _ in range(40):
            move(payer, payee, 1)
        return 40

    outcomes = together(*[lambda: many(ada, ben), lambda: many(ben, ada)] * 2)
    assert outcomes == [40] * 4
    assert (fresh(ada).posted, fresh(ben).posted) == (1000, 1000)


def test_batches_over_the_same_accounts_in_any_order_never_deadlock(world: World) -> None:
    wallets = [world.wallet(f"w{n}", funds=100) for n in range(6)]

    def many(order: list[Account]) -> int:
        for _ in range(10):
            pairs = zip(order, [*order[1:], order[0]], strict=True)
            drafts = [
                journal.Draft(kind="round", lines=transfer_lines(a, b, 1), at=NOON, key=new_key())
                for a, b in pairs
            ]
            journal.post_many(drafts, by=BY)
        return 10

    assert together(*[lambda: many(wallets), lambda: many(wallets[::-1])] * 2) == [10] * 4
    assert [fresh(wallet).posted for wallet in wallets] == [100] * 6


def test_an_entry_reversed_twice_at_once_is_reversed_once(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben", funds=100)
    for _ in range(ROUNDS):
        entry = Entry.objects.get(pk=move(ada, ben, 5).entry_id)

        def undo(entry: Entry = entry) -> journal.Posted:
            return journal.reverse(entry, reason="undone", by=BY, at=NOON, key=new_key())

        outcomes = together(undo, undo, undo)
        assert kinds(outcomes) == {"done": 1, "AlreadyReversed": 2}
        assert any(isinstance(one, AlreadyReversed) for one in outcomes)
    assert fresh(ada).posted == 100


def test_an_account_opened_by_several_at_once_is_one_account(world: World) -> None:
    world.currency()
    for _ in range(ROUNDS):
        owner = ("client", uuid.uuid4())
        outcomes = together(
            *[
                lambda owner=owner: accounts.open_account(
                    book="demo", currency="USD", kind="liability", purpose="wallet", owner=owner, at=NOON
                )
            ]
            * 4
        )
        assert len({one.pk for one in outcomes}) == 1
        assert Account.objects.owned_by(*owner).count() == 1


def test_a_closing_account_takes_nothing_in_passing(world: World) -> None:
    ben = world.wallet("ben", funds=1000)
    for _ in range(ROUNDS):
        empty = world.wallet(new_key())
        outcomes = together(
            lambda empty=empty: accounts.close(empty, by=BY, at=NOON), lambda empty=empty: move(ben, empty, 1)
        )
        refusals = [one for one in outcomes if isinstance(one, DomainError)]
        assert [type(one).__name__ for one in refusals] in (["AccountClosed"], ["AccountNotEmpty"])
        assert fresh(empty).is_closed == (fresh(empty).posted == D(0))
