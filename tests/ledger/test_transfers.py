"""Quotes and transfers: what is refused, and that nothing changes by it; keys, codes, rates, history."""

import contextlib
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backoffice.errors import InvalidInput, KeyReused, MoveNotAllowed, NotFound
from backoffice.money import InvalidAmount
from ledger import history, quotes, rates, transfer_codes, transfers
from ledger.control import explain, invariants
from ledger.models import Account, Entry, ExchangeRate, Quote, Transfer
from ledger.refusals import InsufficientFunds
from tests.edges.staff import fingerprint
from tests.ledger import transferring as desk
from tests.ledger.transferring import BY, NOW, D

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


@pytest.fixture
def amina():
    desk.rate()
    desk.spread(50)
    return desk.funded("1000.00")


@pytest.fixture
def lucas():
    return desk.desk.client("Lucas", "Ferreira")


def refuses(refusal, act, **known):
    """The act is refused, and nothing at all has changed by it."""
    before = fingerprint()
    with pytest.raises(refusal) as found:
        act()
    assert fingerprint() == before
    for name, value in known.items():
        assert getattr(found.value, name) == value
    return found.value


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ({"amount": "0.00"}, InvalidInput), ({"amount": "-1.00"}, InvalidInput), ({"amount": "1.001"}, InvalidAmount),
        ({"amount": "NaN"}, InvalidAmount), ({"got": "EUR"}, quotes.ExchangeNotOffered), ({"got": "XXX"}, quotes.ExchangeNotOffered),
        ({"got": "BTC"}, rates.NoFreshRate), ({"at": NOW + timedelta(hours=25)}, rates.NoFreshRate),
        ({"at": NOW - timedelta(seconds=1)}, rates.NoFreshRate), ({"amount": "0.01", "got": "KWD"}, quotes.ExchangeNotOffered),
    ],
)  # fmt: skip
def test_a_quote_that_cannot_be_made_leaves_nothing(amina, asked, refusal):
    refuses(refusal, lambda: desk.quote(amina, **asked))


def test_without_a_spread_in_use_nothing_is_exchanged_and_the_one_of_both_currencies_counts_first(amina):
    desk.spread(200, given_id="EUR", got_id="USD", least=D("5.00"))
    assert desk.quote(amina).spread == D("5.00")
    assert desk.quote(amina, "1000.00").spread == D("22.00")
    assert desk.quote(amina, "10.00", given="USD", got="EUR").spread == D("0.05")
    quotes.Spread.objects.update(is_active=False)
    refuses(quotes.ExchangeNotOffered, lambda: desk.quote(amina))


def test_what_is_too_little_for_the_other_currency_is_not_quoted(amina):
    desk.spread(0, given_id="USD", got_id="EUR", least=D("1.00"))
    refuses(quotes.NothingGot, lambda: desk.quote(amina, "0.50", given="USD", got="EUR"), field="amount")


def test_the_newest_rate_counts_whichever_way_round_it_was_written(amina):
    desk.rate("USD", "EUR", "0.8000", at=NOW + timedelta(minutes=1))
    later = desk.quote(amina, at=NOW + timedelta(minutes=2))
    assert (later.mid, later.got) == (D("1.25"), D("124.37"))
    assert desk.quote(amina).mid == D("1.1")


def test_a_rate_is_kept_as_it_was_entered_and_what_is_not_one_is_refused(amina):
    row = desk.rate()
    assert ExchangeRate.objects.count() == 1 and row.source == BY.name
    for one in (
        rates.Given("EUR", "EUR", "1", NOW), rates.Given("EUR", "XXX", "1", NOW), rates.Given("EUR", "USD", "0", NOW),
        rates.Given("EUR", "USD", "-1", NOW), rates.Given("EUR", "USD", "1.12345678901", NOW), rates.Given("EUR", "USD", "one", NOW),
        rates.Given("EUR", "USD", "1", NOW + timedelta(seconds=1)), rates.Given("EUR", "USD", "1.2", NOW),
        rates.Given("EUR", "USD", "Infinity", NOW),
    ):  # fmt: skip
        refuses(InvalidInput, lambda one=one: rates.enter([one], by=BY, at=NOW, is_checked=True))
    with pytest.raises(IntegrityError), transaction.atomic():
        ExchangeRate.objects.filter(pk=row.pk).update(mid="2")


def test_a_rate_far_from_the_one_before_is_taken_only_by_somebody_who_looked_again(amina):
    far = [rates.Given("USD", "EUR", "0.8", NOW + timedelta(minutes=1))]
    later = NOW + timedelta(minutes=1)
    refuses(rates.RateFarOff, lambda: rates.enter(far, by=BY, at=later))
    assert rates.enter(far, by=BY, at=later, is_checked=True)[0].mid == D("0.8")


def test_a_quote_is_used_once_in_time_and_under_one_key(amina):
    quote = desk.quote(amina)
    late = quote.valid_until
    refuses(transfers.QuoteExpired, lambda: desk.exchange(quote, at=late), field="quote")
    row = desk.exchange(quote, at=late - timedelta(microseconds=1), key="one")
    assert desk.exchange(quote, at=late + timedelta(days=1), key="one") == row
    refuses(transfers.QuoteUsed, lambda: desk.exchange(quote, key="two"))
    other = desk.quote(amina)
    refuses(KeyReused, lambda: desk.exchange(other, key="one"))
    with pytest.raises(IntegrityError), transaction.atomic():
        Quote.objects.filter(pk=quote.pk).update(valid_until=late + timedelta(days=1))


def test_what_is_not_there_is_neither_exchanged_nor_sent_nor_held(amina, lucas):
    desk.code(lucas)
    quote = desk.quote(amina, "1000.01")
    refuses(InsufficientFunds, lambda: desk.exchange(quote))
    refuses(InsufficientFunds, lambda: desk.sent(amina, lucas, "1000.01"))
    desk.watched()
    refuses(InsufficientFunds, lambda: desk.exchange(quote))
    desk.sent(amina, lucas, "600.00")
    refuses(InsufficientFunds, lambda: desk.sent(amina, lucas, "400.01"))


def test_who_cannot_be_sent_money_is_one_answer_whatever_the_reason(amina, lucas):
    theirs, own = desk.code(lucas), desk.code(amina)
    lucas.status = "suspended"
    lucas.save()
    said = {
        refuses(transfer_codes.RecipientUnknown, lambda to=to: transfers.send(
            amina, to=to, currency="EUR", amount="1.00", by=BY, at=NOW, key="k")).message
        for to in (theirs, own, "NX-2222-2222", "lucas@example.com", "", f"{own} {theirs}")
    }  # fmt: skip
    assert len(said) == 1


def test_a_code_is_read_however_it_is_typed_and_stays_the_same(amina, lucas):
    code = desk.code(lucas)
    assert code != desk.code(amina)
    typed = code.lower().replace("-", " ")
    row = transfers.send(amina, to=typed, currency="EUR", amount="1.00", by=BY, at=NOW, key="one")
    again = transfers.send(amina, to=code, currency="EUR", amount="1.00", by=BY, at=NOW, key="one")
    assert row == again and row.to_client == lucas


def test_clients_from_before_get_their_code_once(amina, lucas):
    code = desk.code(lucas)
    transfer_codes.TransferCode.objects.filter(client=amina).delete()
    with pytest.raises(NotFound):
        desk.code(amina)
    assert transfer_codes.give_missing() == ["1 transfer codes"]
    assert transfer_codes.give_missing() == []
    assert desk.code(amina) != code == desk.code(lucas)


@pytest.mark.parametrize("given", [{"amount": "0"}, {"amount": "1.001"}, {"currency": "XXX"}, {"key": "a b"}])
def test_what_can_never_be_sent_leaves_nothing(amina, lucas, given):
    desk.code(lucas)
    refuses(InvalidInput, lambda: desk.sent(amina, lucas, **{"amount": "1.00", **given}))


def test_limits_of_transfers_count_what_was_exchanged_and_sent(amina, lucas):
    amina.kyc_level = 0
    amina.save()
    desk.exchanged(amina, "400.00")
    row = desk.sent(amina, lucas, "100.01")
    assert (row.state, row.decision.codes, desk.in_wallet(lucas)) == ("blocked", ["OVER_LIMIT"], 0)
    assert desk.sent(amina, lucas, "100.00").state == "done"


def test_what_is_over_is_not_called_off(amina, lucas):
    row = desk.sent(amina, lucas)
    refuses(MoveNotAllowed, lambda: transfers.cancel(row, by=BY, at=NOW, reason="Too late."))


def test_a_recipient_who_is_not_active_any_more_is_sent_nothing_and_it_can_be_called_off(amina, lucas):
    desk.watched()
    row = desk.sent(amina, lucas)
    lucas.status = "closed"
    lucas.save()
    assert (desk.approve(row).code, desk.in_wallet(lucas)) == ("RECIPIENT_UNKNOWN", 0)
    assert transfers.cancel(row, by=BY, at=NOW, reason="They left.").hold.state == "released"


def test_the_database_has_no_transfer_that_neither_sends_nor_exchanges(amina, lucas):
    row = desk.sent(amina, lucas)
    for change in (
        "to_client_id = client_id",
        "got = 1",
        "got_currency_id = 'USD'",
        "entry_id = NULL",
        "state = 'waiting'",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE ledger_transfer SET {change} WHERE id = %s", [row.pk])


def test_a_client_sees_both_lines_of_an_exchange_and_what_they_were_sent(amina, lucas):
    row = desk.exchanged(amina)
    desk.sent(amina, lucas)
    desk.watched()
    held = desk.sent(amina, lucas, "5.00")
    lines = history.page(history.Asked(clients=[amina.uuid], limit=10, types=["transfer"]))
    seen = {(line.words, line.status, line.currency, line.amount, line.reference) for line in lines}
    assert {("Exchange", "completed", "EUR", -100, row.reference), ("Exchange", "completed", "USD", D("109.45"), row.reference),
            ("Transfer", "pending", "EUR", -5, held.reference)} <= seen  # fmt: skip
    assert len(lines) == 4 and "100.00 EUR became 109.45 USD, 1.0945 for one." in {
        line.note for line in lines
    }
    (theirs,) = history.page(history.Asked(clients=[lucas.uuid], limit=10))
    assert (theirs.words, theirs.amount) == ("Transfer", 25)


def test_an_exchange_is_explained_by_its_quote(amina):
    row = desk.exchanged(amina)
    found = explain.explain(row.to_wallet_id, accounts=Account.objects.all(), entries=Entry.objects.all())
    (step,) = found.steps
    assert step.cause.name == "transfer.done"
    assert {("Mid rate", "1.1"), ("Rate", "1.0945"), ("We keep", "0.55 USD")} <= set(step.facts)


def test_what_is_on_a_position_without_an_exchange_is_found(amina):
    from ledger import journal

    desk.exchanged(amina)
    lines = [
        journal.debit(transfers.position("USD"), D("3.00")),
        journal.credit(transfers.spread_account("USD"), D("3.00")),
    ]
    journal.post(kind="adjustment", lines=lines, by=BY, at=NOW, key="stray")
    run = invariants.run("exchange_positions_explained", by=BY, at=NOW)
    assert run.found == 1
    assert (
        "-113 USD stand there, exchanges explain -110."
        in invariants.standing("exchange_positions_explained").get().says
    )


def test_what_is_held_for_a_transfer_that_waits_has_its_reason(amina, lucas):
    desk.watched()
    row = desk.sent(amina, lucas)
    assert invariants.run("holds_have_a_reason", by=BY, at=NOW).found == 0
    Transfer.objects.filter(pk=row.pk).update(state="rejected")
    assert invariants.run("holds_have_a_reason", by=BY, at=NOW).found == 1


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    amount=st.decimals("0.01", "40", places=2),
    mid=st.decimals("0.0001", "2", places=4),
    bps=st.integers(0, 500),
)
def test_for_any_rate_spread_and_amount_the_entry_balances_and_nobody_gains(amina, amount, mid, bps):
    with transaction.atomic():
        try:
            _there_and_back(amina, amount, mid, bps, at=NOW + timedelta(minutes=1))
        finally:
            transaction.set_rollback(True)  # each example begins with the same books


def _there_and_back(amina, amount, mid, bps, at):
    desk.rate(mid=mid, at=at)
    quotes.Spread.objects.update(spread_bps=bps)
    try:
        quote = desk.quote(amina, amount, at=at)
    except quotes.NothingGot:
        assert amount * mid * (1 - Decimal(bps) / 10000) < D("0.01")
        return
    row = desk.exchange(quote, at=at)
    sums: dict[str, Decimal] = {}
    for posting in row.entry.postings.all():
        sign = 1 if posting.side == "debit" else -1
        sums[posting.currency_id] = sums.get(posting.currency_id, D(0)) + sign * posting.amount
    assert sums == {"EUR": 0, "USD": 0} and row.got <= amount * mid
    with contextlib.suppress(quotes.NothingGot):
        assert desk.quote(amina, row.got, given="USD", got="EUR", at=at).got <= amount
