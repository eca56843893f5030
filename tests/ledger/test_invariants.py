"""Random histories of journal and holds against a model in plain Python: 20,000 operations.

The whole run is one database transaction and each history a savepoint in it. After each operation the database must
equal the model: balances, holds and the number of rows, so a refused operation is seen to have moved nothing.
"""

import itertools
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from backoffice.errors import DomainError, KeyReused
from backoffice.money import InvalidAmount
from ledger import holds, journal
from ledger.models import Account, Entry, Hold
from ledger.refusals import AlreadyReversed, HoldResolved, InsufficientFunds
from ledger.verify import verify
from tests.ledger.oracle import BOOK, CURRENCY, GUARDED, NAMES, NORMAL, STATE, Model
from tests.ledger.world import BY, NOON, World

OPERATIONS: Final = 10_000  # in each of the two parts, so that two processors share them
STEPS: Final = 150
counted = itertools.count()
refused: dict[str, int] = {}

names = st.sampled_from(NAMES)
wallets = st.sampled_from(("ada", "ben", "eve", "open"))
cents = st.sampled_from([1, 1, 5, 10, 33, 100, 250, 1000]).map(lambda n: Decimal(n).scaleb(-2))
bad_amounts = st.sampled_from(
    [Decimal("0"), Decimal("-1"), Decimal("0.001"), Decimal("NaN"), Decimal("1e20")]
)


class Ledger(RuleBasedStateMachine):
    """Operations are drawn freely; the model says which of them must be refused, and as what."""

    def __init__(self) -> None:
        super().__init__()
        self.scope = transaction.atomic()
        self.scope.__enter__()
        self.ended = False
        self.model = Model()
        self.accounts: dict[str, Account] = {}
        self.posts: list[dict[str, Any]] = []
        self.holds: list[tuple[Hold, str, str]] = []  # hold, account's name, state
        self.placings: list[dict[str, Any]] = []
        self.reversed: set[int] = set()
        self.keys = itertools.count(1)
        self.run_id = uuid.uuid4().hex[:12]

    def key(self) -> str:
        return f"{self.run_id}-{next(self.keys)}"

    @initialize()
    def open_books(self) -> None:
        world = World()
        for name in NAMES:
            self.accounts[name] = world.wallet(
                f"{name} {self.run_id}",
                currency=CURRENCY[name],
                book=BOOK[name],
                guarded=GUARDED[name],
                kind="asset" if NORMAL[name] == "debit" else "liability",
            )
            self.model.posted[name] = self.model.held[name] = Decimal(0)
            self.model.lines[name] = 0
        for name in ("ada", "ben"):
            self.do_post([("bank", "debit", Decimal(10)), (name, "credit", Decimal(10))])

    # -- the operations -------------------------------------------------------------------------------------------

    def do_post(self, lines: list[tuple[str, str, Decimal]], dry_run: bool = False) -> None:
        given = {"kind": "k", "key": self.key(), "at": NOON, "by": BY, "lines": self.real(lines)}
        saved = (dict(self.model.posted), dict(self.model.held), dict(self.model.lines))
        expected = self.model.effect(lines, {})
        result = self.attempt(expected, lambda: journal.post(**given, dry_run=dry_run))
        if result is not None:
            self.answers(result, lines)
        if dry_run:
            self.model.posted, self.model.held, self.model.lines = saved
        elif result is not None:
            self.posts.append({**given, "entry": result.entry_id, "names": lines})
        self.agrees()

    @rule(payer=names, payee=names, amount=cents, dry_run=st.sampled_from([False, False, False, True]))
    def post(self, payer: str, payee: str, amount: Decimal, dry_run: bool) -> None:
        self.do_post([(payer, "debit", amount), (payee, "credit", amount)], dry_run)

    @rule(payer=wallets, payee=wallets, amount=bad_amounts)
    def post_a_bad_amount(self, payer: str, payee: str, amount: Decimal) -> None:
        self.do_post([(payer, "debit", amount), (payee, "credit", amount)])

    @rule(
        lines=st.lists(
            st.tuples(wallets, st.sampled_from(["debit", "credit"]), cents), min_size=2, max_size=4
        )
    )
    def post_any_lines(self, lines: list[tuple[str, str, Decimal]]) -> None:
        short = sum(amount if side == "debit" else -amount for _, side, amount in lines)
        if short:
            lines = [*lines, ("open 2", "credit" if short > 0 else "debit", abs(short))]
        self.do_post(lines)

    @rule(name=wallets, amount=cents)
    def post_out_of_balance(self, name: str, amount: Decimal) -> None:
        self.do_post([(name, "debit", amount), ("open", "credit", amount + 1)])

    @rule(drawn=st.lists(st.tuples(wallets, wallets, cents), min_size=1, max_size=5), repeat=st.booleans())
    def post_a_batch(self, drawn: list[tuple[str, str, Decimal]], repeat: bool) -> None:
        saved = (dict(self.model.posted), dict(self.model.held), dict(self.model.lines))
        batch = [[(a, "debit", amount), (b, "credit", amount)] for a, b, amount in drawn]
        keys = [self.key() for _ in batch]
        drafts = [
            journal.Draft(kind="k", lines=self.real(lines), key=key, at=NOON)
            for lines, key in zip(batch, keys, strict=True)
        ]
        if repeat:
            drafts.append(drafts[0])
        expected = None
        for lines in batch:
            expected = self.model.effect(lines, {})
            if expected:
                self.model.posted, self.model.held, self.model.lines = saved
                break
        results = self.attempt(expected, lambda: journal.post_many(drafts, by=BY))
        if results is not None:
            assert [r.replayed for r in results] == [False] * len(batch) + [True] * repeat
            for lines, key, result in zip(batch, keys, results, strict=False):
                self.posts.append(
                    {
                        "kind": "k",
                        "key": key,
                        "at": NOON,
                        "by": BY,
                        "lines": self.real(lines),
                        "entry": result.entry_id,
                        "names": lines,
                    }
                )
        self.agrees()

    @precondition(lambda self: self.posts)
    @rule(data=st.data(), dry_run=st.booleans())
    def post_again(self, data: st.DataObject, dry_run: bool) -> None:
        first = data.draw(st.sampled_from(self.posts))
        given = {name: first[name] for name in ("kind", "key", "by", "lines")}
        result = self.attempt(
            None, lambda: journal.post(**given, at=NOON + timedelta(days=1), dry_run=dry_run)
        )
        assert result is not None
        assert (result.replayed, result.entry_id) == (True, first["entry"])
        self.answers(result, first["names"])
        self.agrees()

    @precondition(lambda self: self.posts)
    @rule(data=st.data(), payer=wallets, payee=wallets)
    def reuse_a_key(self, data: st.DataObject, payer: str, payee: str) -> None:
        key = data.draw(st.sampled_from(self.posts))["key"]
        lines = self.real([(payer, "debit", Decimal("0.07")), (payee, "credit", Decimal("0.07"))])
        self.attempt(KeyReused, lambda: journal.post(kind="k", key=key, at=NOON, by=BY, lines=lines))
        self.agrees()

    @precondition(lambda self: self.posts)
    @rule(data=st.data(), other_key=st.booleans())
    def reverse(self, data: st.DataObject, other_key: bool) -> None:
        first = data.draw(st.sampled_from(self.posts[-6:]))
        entry = Entry.objects.get(pk=first["entry"])
        mirrored = [(n, "credit" if side == "debit" else "debit", a) for n, side, a in first["names"]]
        key = f"{first['key']} back" + (" again" if other_key else "")
        done = entry.pk in self.reversed
        expected: type[DomainError] | None
        if done:
            expected = AlreadyReversed if key != first["back"] else None
        else:
            expected = self.model.effect(mirrored, {})
        result = self.attempt(
            expected, lambda: journal.reverse(entry, reason="undone", by=BY, at=NOON, key=key)
        )
        if result is not None:
            assert result.replayed is done
            self.reversed.add(entry.pk)
            first["back"] = key
        self.agrees()

    @rule(name=wallets, amount=cents, due=st.booleans())
    def place(self, name: str, amount: Decimal, due: bool) -> None:
        model = self.model
        enough = model.posted[name] - model.held[name] >= amount
        given = {
            "account": self.accounts[name],
            "amount": amount,
            "purpose": "p",
            "by": BY,
            "at": NOON,
            "key": self.key(),
            "expires_at": NOON + timedelta(minutes=len(self.holds)) if due else None,
        }
        result = self.attempt(None if enough else InsufficientFunds, lambda: holds.place(**given))
        if result is not None:
            model.held[name] += amount
            assert not result.replayed
            assert (result.balance.posted, result.balance.held) == (model.posted[name], model.held[name])
            self.holds.append((result.hold, name, "held"))
            self.placings.append({**given, "hold": result.hold})
        self.agrees()

    @precondition(lambda self: self.placings)
    @rule(data=st.data(), other=st.booleans())
    def place_again(self, data: st.DataObject, other: bool) -> None:
        first = data.draw(st.sampled_from(self.placings))
        given = {name: value for name, value in first.items() if name != "hold"}
        if other:
            given["amount"] += 1
        result = self.attempt(KeyReused if other else None, lambda: holds.place(**given))
        assert result is None or (result.replayed and result.hold == first["hold"])
        self.agrees()

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), share=st.sampled_from([1, 1, 2, "more"]), to=wallets)
    def capture(self, data: st.DataObject, share: int | str, to: str) -> None:
        index = data.draw(st.integers(max(0, len(self.holds) - 4), len(self.holds) - 1))
        hold, name, state = self.holds[index]
        amount = hold.amount + 1 if share == "more" else max(round(hold.amount / share, 2), Decimal("0.01"))  # type: ignore[operator]
        given = {"kind": "c", "key": self.key(), "at": NOON, "by": BY, "amount": amount}
        lines = [(name, "debit", amount), (to, "credit", amount)]
        expected: type[DomainError] | None
        if state != "held":
            expected = HoldResolved
        elif amount > hold.amount:
            expected = InvalidAmount
        else:
            expected = self.model.effect(lines, {name: hold.amount})
        result = self.attempt(expected, lambda: holds.capture(hold, lines=self.real(lines[1:]), **given))
        if result is not None:
            self.holds[index] = (hold, name, "captured")
            self.answers(result, lines)
            again = holds.capture(hold, lines=self.real(lines[1:]), **given)
            next(counted)
            assert (again.replayed, again.entry_id) == (True, result.entry_id)
        self.agrees()

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(max(0, len(self.holds) - 4), len(self.holds) - 1))
        hold, name, state = self.holds[index]
        expected = None if state in ("held", "released") else HoldResolved
        result = self.attempt(expected, lambda: holds.release(hold, by=BY, at=NOON))
        if result is not None:
            assert result.replayed is (state == "released")
            if state == "held":
                self.model.held[name] -= hold.amount
            self.holds[index] = (hold, name, "released")
        self.agrees()

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), to=wallets, more=st.sampled_from([Decimal(0), Decimal("-0.01"), Decimal("0.5")]))
    def transfer_a_hold(self, data: st.DataObject, to: str, more: Decimal) -> None:
        index = data.draw(st.integers(max(0, len(self.holds) - 4), len(self.holds) - 1))
        hold, name, state = self.holds[index]
        model, amount = self.model, hold.amount + more
        free = model.posted[to] - model.held[to] + (hold.amount if to == name else 0)
        expected: type[DomainError] | None = None
        if amount <= 0:
            expected = InvalidAmount
        elif state != "held":
            expected = HoldResolved
        elif free < amount:
            expected = InsufficientFunds
        given = {"to_account": self.accounts[to], "amount": amount, "by": BY, "at": NOON, "key": self.key()}
        result = self.attempt(expected, lambda: holds.transfer(hold, **given))
        if result is not None:
            model.held[name] -= hold.amount
            model.held[to] += amount
            self.holds[index] = (hold, name, "transferred")
            self.holds.append((result.hold, to, "held"))
            assert holds.transfer(hold, **given).replayed
            next(counted)
        self.agrees()

    @rule(minutes=st.integers(0, 20))
    def expire(self, minutes: int) -> None:
        at = NOON + timedelta(minutes=minutes)
        due = [
            (index, hold, name)
            for index, (hold, name, state) in enumerate(self.holds)
            if state == "held" and hold.expires_at and hold.expires_at <= at
        ]
        assert self.attempt(None, lambda: holds.expire_due(at)) == len(due)
        for index, hold, name in due:
            self.model.held[name] -= hold.amount
            self.holds[index] = (hold, name, "expired")
        self.agrees()

    # -- what must hold after each ----------------------------------------------------------------------------------

    def real(self, lines: list[tuple[str, str, Decimal]]) -> list[journal.Line]:
        return [journal.Line(self.accounts[name], side, amount) for name, side, amount in lines]

    def attempt(self, expected: type[DomainError] | None, verb: Any) -> Any:
        """Run the verb; it must be refused exactly as expected, or answer."""
        next(counted)
        if expected is None:
            return verb()
        with pytest.raises(DomainError) as caught:
            verb()
        assert type(caught.value) is expected, f"{type(caught.value).__name__}, not {expected.__name__}"
        refused[expected.__name__] = refused.get(expected.__name__, 0) + 1
        return None

    def answers(self, result: journal.Posted, lines: list[tuple[str, str, Decimal]]) -> None:
        for name, _, _ in lines:
            balance = result.balances[self.accounts[name].pk]
            assert (balance.posted, balance.held) == (self.model.posted[name], self.model.held[name])

    def agrees(self) -> None:
        """The database equals the model, the accounts equal their postings and holds, the books sum to zero."""
        with connection.cursor() as cursor:
            cursor.execute(STATE, [[account.pk for account in self.accounts.values()]])
            rows = {row[0]: row[1:] for row in cursor.fetchall()}
        sums: dict[tuple[str, str], Decimal] = {}
        for name, account in self.accounts.items():
            posted, held, by_postings, by_holds, lines, after = rows[account.pk]
            assert posted == by_postings == after == self.model.posted[name], name
            assert held == by_holds == self.model.held[name], name
            assert lines == self.model.lines[name], name
            assert not GUARDED[name] or (posted >= held and posted >= 0), name
            book = (BOOK[name], CURRENCY[name])
            sums[book] = sums.get(book, Decimal(0)) + (posted if NORMAL[name] == "debit" else -posted)
        assert not any(sums.values())

    def teardown(self) -> None:
        if not self.ended:
            self.ended = True
            transaction.set_rollback(True)
            self.scope.__exit__(None, None, None)


@pytest.mark.django_db
@pytest.mark.parametrize("part", ["first half", "second half"])
def test_no_history_of_operations_breaks_the_books(part: str) -> None:
    operations, before = 0, next(counted)
    refused.clear()
    settings_ = settings(
        max_examples=10,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    while operations < OPERATIONS:
        run_state_machine_as_test(Ledger, settings=settings_)
        operations = next(counted) - before
    print(f"{operations:,} operations, refused: {refused}")  # noqa: T201 (seen with -s, and when it fails)
    assert operations >= OPERATIONS
    expected = {"InsufficientFunds", "KeyReused", "HoldResolved", "Unbalanced", "MixedBooks", "InvalidAmount"}
    assert expected | {"AlreadyReversed"} == set(refused), refused
    assert not [check for check in verify() if check.found]
