"""Deposits that collectors take, over HTTP against a Stripe-compatible server: what is told, in whatever order, counts once."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from backoffice.errors import MoveNotAllowed
from ledger import clawbacks, deposits
from ledger.collecting import accounts, refunding, taking, told
from ledger.collecting.port import GiveBack
from ledger.models import Account, ClawBack, CollectorEvent, Debt, Deposit, Entry
from ledger.refusals import InsufficientFunds
from tests.ledger import cards
from tests.ledger import payments as desk
from tests.ledger.cards import BY, NOW, D, now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


def nothing_moved(call, *, status):
    before = (Entry.objects.count(), CollectorEvent.objects.count())
    assert call().status_code == status
    assert (Entry.objects.count(), CollectorEvent.objects.count()) == before


def receivable(currency="EUR"):
    return Account.objects.get(pk=accounts.receivable("stripe", currency, at=NOW).pk).posted


def wallet(row):
    return Account.objects.get(pk=row.wallet_id)


def test_a_deposit_by_card_is_with_the_collector_until_its_signed_word_then_in_the_wallet(shop):
    row = cards.begun(amount="40.00")
    assert (row.state, row.collector, row.external_id[:3], receivable()) == ("processing", "stripe", "pi_", 0)
    intent = shop.pay(row)
    assert (intent["amount"], intent["currency"], intent["metadata"]["reference"]) == (
        4000,
        "eur",
        row.reference,
    )
    found = cards.applied(cards.event("payment_intent.succeeded", intent))
    row = Deposit.objects.get()
    assert (found.state, row.state, row.received, row.external_id) == (
        "applied",
        "completed",
        40,
        intent["id"],
    )
    assert (desk.in_wallet(row.client), receivable()) == (40, 40)


def test_begun_again_it_is_the_same_payment(shop):
    row = cards.begun()
    again = taking.begin(row, by=BY, now=now)
    assert again.external_id == row.external_id and again.client_secret.startswith(row.external_id)
    assert again.publishable_key == "pk_test_nexus"
    shop.pay(row)
    taking.ask(row, now=now)
    assert taking.begin(Deposit.objects.select_related("client", "currency").get(), by=BY, now=now) is None


def test_a_collector_that_tells_nothing_is_asked(shop):
    row = cards.begun()
    assert taking.ask(row, now=now).state == "processing"
    shop.pay(row)
    assert taking.ask(row, now=now).state == taking.ask(row, now=now).state == "completed"
    assert desk.in_wallet(row.client) == 100


def test_what_nobody_pays_in_time_is_given_up_at_the_collector_too(shop):
    row = cards.begun()
    late = NOW + timedelta(hours=25)
    row = taking.ask(row, now=lambda: late)
    assert (row.state, row.note, shop.intent(row)["status"]) == (
        "failed",
        "It was not paid in time",
        "canceled",
    )


def test_a_card_that_is_declined_leaves_the_deposit_open_for_another(shop):
    row = cards.begun()
    shop.pay(row, "4000000000000341")
    assert taking.ask(row, now=now).state == "processing"


def test_a_bad_signature_an_old_timestamp_and_a_body_too_large_leave_nothing(shop):
    row = cards.begun()
    good = cards.event("payment_intent.succeeded", shop.pay(row))
    nothing_moved(lambda: cards.tell(good, secret="whsec_other"), status=400)
    nothing_moved(lambda: cards.tell(good, signed_at=int(time.time()) - 301), status=400)
    nothing_moved(lambda: cards.tell(good, signed_at=int(time.time()) + 301), status=400)
    nothing_moved(lambda: cards.tell(good, body='{"id": "evt_other"}'), status=400)
    nothing_moved(lambda: cards.tell({"id": "evt", "object": "event", "filler": "x" * 300_000}), status=413)
    nothing_moved(lambda: cards.tell({"id": "evt", "object": "event"}), status=400)
    nothing_moved(lambda: cards.tell(cards.event("customer.created", {"id": "cus_1"})), status=200)
    assert Deposit.objects.get().state == "processing"


def test_without_keys_nobody_is_listened_to_and_no_card_is_offered(db):
    assert cards.tell({}).status_code == 404
    with pytest.raises(deposits.DepositNotOffered):
        taking.create(desk.client(), method="card", currency="EUR", amount="10.00", by=BY, at=NOW, key="k")
    assert not Deposit.objects.exists()


def test_an_event_told_again_is_stored_and_applied_once(shop):
    row = cards.begun()
    given = cards.event("payment_intent.succeeded", shop.pay(row))
    cards.applied(given)
    assert cards.tell(given).content == b"Known.\n"
    told.apply(CollectorEvent.objects.get(), now=now)
    cards.applied(cards.event("payment_intent.succeeded", shop.intent(row)))
    assert (desk.in_wallet(row.client), Entry.objects.filter(kind="deposit").count()) == (100, 1)


def test_an_answer_lost_before_the_payment_s_number_was_stored_is_found_by_its_reference(shop):
    row = cards.begun()
    Deposit.objects.filter(pk=row.pk).update(state="pending", external_id="")
    intent = shop.pay(row)
    assert cards.applied(cards.event("payment_intent.succeeded", intent)).state == "applied"
    assert Deposit.objects.get().external_id == intent["id"]


def test_of_another_currency_nothing_is_booked_and_a_person_looks(shop):
    row = cards.begun()
    found = cards.applied(cards.event("payment_intent.succeeded", {**shop.pay(row), "currency": "usd"}))
    assert (found.state, Deposit.objects.get().state) == ("failed", "processing")
    assert found.reason == "The collector took USD, and EUR was asked for."
    assert told.again(found, by=BY, at=NOW).state == "received"
    assert told.set_aside(found, by=BY, at=NOW, reason="Looked at.").state == "ignored"
    with pytest.raises(MoveNotAllowed):
        told.again(found, by=BY, at=NOW)


def test_about_a_deposit_of_nobody_s_it_waits_an_hour_and_is_set_aside(shop):
    stranger = {"id": "pi_stranger", "amount": 100, "currency": "eur", "metadata": {}}
    row = cards.applied(cards.event("payment_intent.succeeded", stranger))
    assert (row.state, row.reason) == ("received", "It waits: it is about no deposit that is known here")
    assert told.apply(row, now=lambda: timezone.now() + timedelta(hours=2)).state == "ignored"
    assert not Entry.objects.exists()


@pytest.mark.parametrize("first", ["refund", "dispute", "won", "lost"])
def test_what_comes_before_the_success_is_completed_from_the_collector_s_word(shop, first):
    row = cards.begun()
    intent = shop.pay(row)
    given = {
        "refund": lambda: cards.event("refund.created", shop.refund(row, 3000)),
        "dispute": lambda: cards.event("charge.dispute.created", cards.dispute(row, 3000, fee=0)),
        "won": lambda: cards.event("charge.dispute.closed", cards.dispute(row, 3000, status="won", fee=0)),
        "lost": lambda: cards.event("charge.dispute.closed", cards.dispute(row, 3000, status="lost", fee=0)),
    }[first]()
    assert cards.applied(given).state == "applied"
    assert cards.applied(cards.event("payment_intent.succeeded", intent)).state == "applied"
    if first in ("won", "lost"):
        cards.applied(cards.event("charge.dispute.created", cards.dispute(row, 3000)))
    left = 100 if first == "won" else 70
    assert (desk.in_wallet(row.client), receivable()) == (left, left)
    assert [one.state for one in ClawBack.objects.all()] == [
        {"refund": "done", "dispute": "open"}.get(first, first)
    ]
    assert not Debt.objects.exists()


def test_a_dispute_before_anything_was_paid_waits(shop):
    row = cards.begun()
    found = cards.applied(cards.event("charge.dispute.created", cards.dispute(row, 3000)))
    assert (found.state, found.reason) == ("received", "It waits: the deposit is not completed")
    shop.pay(row)
    assert told.apply(found, now=now).state == "applied"
    assert desk.in_wallet(row.client) == 70


def test_an_inquiry_takes_nothing(shop):
    row = cards.paid(shop)
    given = cards.event("charge.dispute.created", cards.dispute(row, 3000, status="warning_needs_response"))
    assert cards.tell(given).status_code == 200
    assert not CollectorEvent.objects.filter(kind__startswith="dispute").exists()


def test_a_refund_is_held_then_made_once_at_the_collector_and_leaves_the_wallet(shop):
    row = cards.paid(shop)
    asked = clawbacks.ask_refund(row, amount="30.00", by=BY, at=NOW, key="k", reason="They asked for it")
    assert (asked.state, asked.hold.state, wallet(row).available) == ("asked", "held", 70)
    assert clawbacks.ask_refund(row, amount="30.00", by=BY, at=NOW, key="k").pk == asked.pk
    done = refunding.push(asked, now=now)
    assert (done.state, done.external_id[:3], desk.in_wallet(row.client), receivable()) == (
        "done",
        "re_",
        70,
        70,
    )
    again = refunding.push(asked, now=now)
    cards.applied(cards.event("charge.refunded", {"payment_intent": row.external_id, "currency": "eur"}))
    assert (again.pk, ClawBack.objects.count(), len(taking.collectors.get("stripe").refunds(row))) == (
        done.pk,
        1,
        1,
    )
    assert clawbacks.refundable(Deposit.objects.get()) == 70


def test_more_than_came_or_than_is_in_the_wallet_is_not_refunded(shop):
    row = cards.paid(shop)
    with pytest.raises(clawbacks.RefundTooLarge):
        clawbacks.ask_refund(row, amount="100.01", by=BY, at=NOW, key="a")
    clawbacks.ask_refund(row, amount="60.00", by=BY, at=NOW, key="b")
    with pytest.raises(clawbacks.RefundTooLarge):
        clawbacks.ask_refund(row, amount="40.01", by=BY, at=NOW, key="c")
    other = cards.paid(shop, row.client, "10.00")
    cards.applied(cards.event("charge.dispute.created", cards.dispute(row, 4_500)))
    with pytest.raises(InsufficientFunds):
        clawbacks.ask_refund(other, amount="10.00", by=BY, at=NOW, key="d")
    assert ClawBack.objects.filter(state="asked").count() == 1


def test_a_refund_whose_answer_was_lost_is_asked_about_and_never_made_twice(shop):
    row = cards.paid(shop)
    asked = clawbacks.ask_refund(row, amount="30.00", by=BY, at=NOW, key="k")
    begun = refunding._begin(asked, at=NOW)
    taking.collectors.get("stripe").refund(
        GiveBack(begun.uuid, row, begun.amount)
    )  # and the worker dies before it hears
    later = NOW + timedelta(minutes=2)
    found = refunding.push(begun, now=lambda: later)
    assert (found.state, desk.in_wallet(row.client)) == ("done", 70)
    assert len(taking.collectors.get("stripe").refunds(row)) == 1


def test_a_lost_refund_that_is_not_in_the_collector_s_books_stays_unknown_until_somebody_says_by_evidence(
    shop,
):
    row = cards.paid(shop)
    begun = refunding._begin(clawbacks.ask_refund(row, amount="30.00", by=BY, at=NOW, key="k"), at=NOW)
    unknown = refunding.push(begun, now=lambda: NOW + timedelta(minutes=2))
    assert (unknown.state, wallet(row).held) == ("unknown", 30)
    settled = refunding.settle(unknown, evidence="Stripe's list of refunds.", by=BY, at=NOW)
    assert (settled.state, settled.hold.state, desk.in_wallet(row.client)) == ("failed", "released", 100)


def test_a_collector_that_cannot_be_reached_was_certainly_not_asked_and_one_that_hangs_up_perhaps(
    shop, settings
):
    import socket
    import threading

    row = cards.paid(shop)
    asked = clawbacks.ask_refund(row, amount="10.00", by=BY, at=NOW, key="a")
    known = settings.CONFIG
    settings.CONFIG = known.model_copy(update={"stripe_url": f"http://127.0.0.1:{cards.free_port()}"})
    assert refunding.push(asked, now=now).state == "asked"
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def hang_up():
            taken, _ = rude.accept()
            taken.recv(100)
            taken.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        settings.CONFIG = known.model_copy(update={"stripe_url": f"http://127.0.0.1:{rude.getsockname()[1]}"})
        assert refunding.push(asked, now=now).state == "unknown"
        thread.join(10)
    settings.CONFIG = known
    assert refunding.push(asked, now=now).state == "unknown"
    assert desk.in_wallet(row.client) == 100


def test_a_refund_that_stripe_refuses_frees_what_was_held(shop):
    row = cards.paid(shop)
    asked = clawbacks.ask_refund(row, amount="10.00", by=BY, at=NOW, key="a")
    Deposit.objects.filter(pk=row.pk).update(external_id="pi_nobody")
    found = refunding.push(asked, now=now)
    assert (found.state, found.hold.state, desk.in_wallet(row.client)) == ("failed", "released", 100)


@pytest.mark.django_db(transaction=True)
def test_localstripe_s_own_webhook_reaches_the_address_and_completes_the_deposit(shop, live_server):
    """The whole way by the server's own signature and delivery, which it makes a second later."""
    import httpx

    httpx.post(f"{shop.url}/_config/webhooks/ours", json={
        "url": f"{live_server.url}/hooks/stripe/", "secret": cards.WEBHOOK_SECRET, "events": ["payment_intent.succeeded"],
    })  # fmt: skip
    row = cards.begun()
    shop.pay(row)
    deadline = time.monotonic() + 20
    while not CollectorEvent.objects.filter(payment_id=row.external_id).exists():
        assert time.monotonic() < deadline, "nothing was told"
        time.sleep(0.05)
    found = told.apply(CollectorEvent.objects.get(payment_id=row.external_id), now=now)
    assert (found.state, desk.in_wallet(row.client)) == ("applied", D("100"))


def test_a_second_payment_for_one_deposit_is_not_taken_for_the_first(shop):
    row = cards.paid(shop)
    other = {**shop.intent(row), "id": "pi_other"}
    found = cards.applied(cards.event("payment_intent.succeeded", other))
    assert (found.state, found.reason) == (
        "failed",
        "The deposit is paid under another id of the collector's.",
    )
    assert desk.in_wallet(row.client) == 100


@pytest.mark.parametrize("state", ["cancelled", "expired"])
def test_money_that_comes_after_the_deposit_ended_is_the_client_s_all_the_same(shop, state):
    row = cards.begun()
    intent = shop.pay(row)
    Deposit.objects.filter(pk=row.pk).update(state=state, external_id="")
    assert cards.applied(cards.event("payment_intent.succeeded", intent)).state == "applied"
    assert desk.in_wallet(row.client) == 100


def test_what_a_collector_says_of_disputes_and_refunds_is_in_the_history_and_the_invariants_hold(shop):
    from ledger import history
    from ledger.control.invariants import invariants

    row = cards.paid(shop)
    desk.bank()
    cards.applied(cards.event("charge.dispute.created", cards.dispute(row, 12_000, fee=0)))
    lines = history.page(history.Asked(clients=[row.client.uuid], limit=10))
    assert [(line.type, line.words, line.amount, line.reference) for line in lines] == [
        ("deposit", "Chargeback", -100, row.reference), ("deposit", "Deposit", 100, row.reference),
    ]  # fmt: skip
    assert Debt.objects.get().left == 20
    assert list(invariants.get("debts_are_owed").check(NOW)) == []
    Debt.objects.update(recovered=5)
    (offender,) = invariants.get("debts_are_owed").check(NOW)
    assert offender.says == "20 stands as owed, and open debts are 15."


def test_money_with_a_collector_counts_as_covering_what_clients_are_owed(shop):
    from ledger.control.invariants import invariants

    cards.paid(shop)
    assert list(invariants.get("client_money_covered").check(NOW)) == []


def test_who_calls_too_often_is_asked_to_come_back(shop, settings, monkeypatch):
    from ledger import hooks

    settings.CONFIG = settings.CONFIG.model_copy(update={"rate_limits": ""})
    monkeypatch.setattr(hooks, "TRIES", (2, 60))
    given = cards.event("customer.created", {"id": "cus_1"})
    answers = [cards.tell(given) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[-1]["Retry-After"]) <= 60


def test_the_sweeps_find_what_a_lost_nudge_left_behind_and_no_more(shop):
    row = cards.paid(shop)
    cards.begun()
    clawbacks.ask_refund(row, amount="1.00", by=BY, at=NOW, key="k")
    assert cards.tell(cards.event("payment_intent.succeeded", shop.intent(row))).status_code == 200
    soon, late = NOW + timedelta(seconds=5), NOW + timedelta(minutes=16)
    much_later = timezone.now() + timedelta(minutes=1)
    assert (
        told.sweep(now=timezone.now),
        refunding.sweep(now=lambda: soon),
        taking.sweep(now=lambda: soon),
    ) == (0, 0, 0)
    assert (
        told.sweep(now=lambda: much_later),
        refunding.sweep(now=lambda: late),
        taking.sweep(now=lambda: late),
    ) == (1, 1, 1)


def test_a_refund_that_comes_back_to_stripe_is_in_the_wallet_again(shop):
    row = cards.paid(shop)
    done = refunding.push(clawbacks.ask_refund(row, amount="30.00", by=BY, at=NOW, key="k"), now=now)
    failed = clawbacks.fail(done, code="FAILED", message="The card is closed", by=BY, at=NOW)
    assert (failed.state, desk.in_wallet(row.client), receivable()) == ("failed", 100, 100)
    assert (
        clawbacks.fail(done, code="FAILED", message="", by=BY, at=NOW).return_entry_id
        == failed.return_entry_id
    )
    assert clawbacks.refundable(Deposit.objects.get()) == 100
