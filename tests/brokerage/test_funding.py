"""Money between a wallet and an account at the venue: moved once, whatever is lost, and never half."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from backoffice.errors import InvalidInput, KeyReused, MoveNotAllowed, NotFound
from backoffice.models import Event
from backoffice.money import InvalidAmount
from backoffice.who import By
from brokerage import agent_desk, funding
from brokerage.models import Funding, TradingAccount
from ledger import accounts as ledger_accounts
from ledger import journal
from ledger.models import Account, Book, Entry
from ledger.refusals import InsufficientFunds
from ledger.wallets import wallet
from tests import world
from tests.brokerage.at_the_venue import linked
from tests.brokerage.deriv.running import eventually, free_port
from tests.world import TESTER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis", "the_venue")]


def real(opening=None, **given):
    """A real account at the venue with 500.00, by a grant."""
    found = linked(opening, **given)
    number = next(row.pk for row in found.accounts if row.kind == "real")
    return TradingAccount.objects.select_related("client", "grant", "currency").get(pk=number)


def rich(account, amount="200.00"):
    """Money in the client's wallet."""
    ours = wallet(account.client.uuid, "USD", at=timezone.now())
    bank = ledger_accounts.house(Book.REAL, "USD", "bank", Account.Kind.ASSET)
    value = Decimal(amount)
    journal.post(
        kind="deposit", lines=[journal.debit(bank, value), journal.credit(ours, value)], by=TESTER,
        at=timezone.now(), key=world.key(),
    )  # fmt: skip
    return account


def deposit(account, amount="50.00", key=""):
    by = By.system("client")
    return funding.deposit(account, amount=amount, by=by, at=timezone.now(), key=key or world.key())


def withdraw(account, amount="50.00", key=""):
    by = By.system("client")
    return funding.withdraw(account, amount=amount, by=by, at=timezone.now(), key=key or world.key())


def confirm(row, code):
    return funding.confirm(row, code=code, by=By.system("client"), at=timezone.now())


def push(row):
    return funding.push(row, now=timezone.now)


def money(account):
    """The wallet, what of it is held, and what we hold at the venue as its agent."""
    ours = wallet(account.client.uuid, "USD", at=timezone.now())
    floating = Account.objects.filter(purpose="agent_float").first()
    return ours.posted, ours.held, floating.posted if floating else Decimal(0)


def at_the_venue(the_venue, account):
    return Decimal(the_venue.books(account.login_id)["account"]["balance"])


def agents_login(the_venue):
    return the_venue.control("PUT", "accounts/payment-agent", {"is_demo": False, "balance": "1000000.00"})[
        "login_id"
    ]


def code_of(the_venue, account):
    return the_venue.control("GET", f"accounts/{account.login_id}/verification-code")["code"]


def events(row):
    return list(Event.objects.about("funding", row.uuid).order_by("id").values_list("name", flat=True))


def nothing():
    return (
        Funding.objects.count(),
        Entry.objects.count(),
        Event.objects.filter(name__startswith="funding").count(),
    )


# ── to the venue ────────────────────────────────────────────────────────────────────────────────────────────────


def test_money_goes_from_the_wallet_to_the_account_once(the_venue):
    account = rich(real())
    row = deposit(account, key="d1")
    assert (row.state, money(account)) == ("queued", (Decimal(200), Decimal(50), 0))
    assert at_the_venue(the_venue, account) == Decimal("500.00")
    done = push(row)
    assert (done.state, money(account)) == ("done", (Decimal(150), 0, Decimal(-50)))
    assert at_the_venue(the_venue, account) == Decimal("550.00")
    assert push(row).state == "done" and deposit(account, key="d1").pk == row.pk
    assert money(account) == (Decimal(150), 0, Decimal(-50))
    assert events(row) == ["funding.requested", "funding.done"]


@pytest.mark.parametrize("fault", ["lose_answer", "drop_after_purchase", "drop_before_purchase"])
def test_a_lost_answer_is_found_out_and_the_money_moves_once(the_venue, fault):
    account = rich(real())
    the_venue.fault(fault, "payment_agent_transfer", agents_login(the_venue))
    row = push(deposit(account))
    assert (row.state, money(account)[1]) == ("unknown", Decimal(50)), "the money stays held"
    assert push(row).state == "done"
    assert (money(account)[0], at_the_venue(the_venue, account)) == (Decimal(150), Decimal("550.00"))
    assert events(row) == ["funding.requested", "funding.unknown", "funding.done"]


def test_what_the_venue_refuses_frees_the_money(the_venue):
    account = rich(real())
    the_venue.fault(
        "refuse", "payment_agent_transfer", agents_login(the_venue), code="ClientCountryUnsupported"
    )
    refused = push(deposit(account))
    assert (refused.state, refused.problem_code) == ("refused", "ClientCountryUnsupported")
    assert money(account) == (Decimal(200), 0, 0)
    assert at_the_venue(the_venue, account) == Decimal("500.00")


def test_a_venue_that_cannot_be_asked_keeps_it_waiting(settings):
    account = rich(real())
    row = deposit(account)
    settings.CONFIG = settings.CONFIG.model_copy(update={"deriv_sim_port": free_port()})
    waiting = push(row)
    assert (waiting.state, waiting.problem_code, money(account)[1]) == (
        "queued",
        "NO_CONNECTION",
        Decimal(50),
    )
    later = timezone.now() + Funding.GRACE + timedelta(seconds=1)
    assert funding.sweep(now=lambda: later) == 1


def test_two_workers_never_send_at_the_same_time(the_venue):
    account = rich(real())
    row = deposit(account)
    Funding.objects.filter(pk=row.pk).update(sending_until=timezone.now() + timedelta(seconds=30))
    assert push(row).state == "queued" and at_the_venue(the_venue, account) == Decimal("500.00")
    Funding.objects.filter(pk=row.pk).update(sending_until=timezone.now() - timedelta(seconds=1))
    assert push(row).state == "done", "who died on the way is replaced"


def test_what_cannot_be_begun_leaves_nothing(the_venue):
    account, demo = rich(real()), world.account()
    poor = real()
    reader = real(allow=("trade",))
    before = (nothing(), money(account))
    for where, amount, error in (
        (account, "200.01", InsufficientFunds),
        (poor, "0.01", InsufficientFunds),
        (account, "0", InvalidInput),
        (account, "-5", InvalidInput),
        (account, "1.001", InvalidAmount),
        (account, "much", InvalidInput),
        (demo, "5.00", agent_desk.NotFundable),
        (reader, "5.00", agent_desk.NotFundable),
    ):
        with pytest.raises(error):
            deposit(where, amount)
    assert (nothing(), money(account)) == before


def test_a_key_says_one_thing():
    account = rich(real())
    deposit(account, "50.00", key="k")
    with pytest.raises(KeyReused):
        deposit(account, "51.00", key="k")


# ── from the venue ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_withdrawal_waits_for_the_code_and_reaches_the_wallet(the_venue):
    account = real()
    row = withdraw(account, key="w1")
    assert (row.state, at_the_venue(the_venue, account)) == ("code_wanted", Decimal("500.00"))
    assert withdraw(account, key="w1").pk == row.pk, "no second code is sent"
    queued = confirm(row, code_of(the_venue, account))
    assert queued.state == "queued"
    pending = push(queued)
    assert (pending.state, pending.code, at_the_venue(the_venue, account)) == (
        "pending",
        None,
        Decimal("450.00"),
    )
    assert money(account)[0] == 0, "the wallet gets it when the venue says so"
    done = eventually(lambda: push(pending).state == "done" and Funding.objects.get(pk=row.pk))
    assert money(account) == (Decimal(50), 0, Decimal(50))
    assert confirm(done, "123456").state == "done", "given again, nothing changes"
    assert events(row) == ["funding.requested", "funding.confirmed", "funding.taken", "funding.done"]


def test_a_wrong_code_is_asked_for_again(the_venue):
    account = real()
    row = withdraw(account)
    right = code_of(the_venue, account)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    back = push(confirm(row, wrong))
    assert (back.state, back.problem_code, back.code) == ("code_wanted", "InvalidOTP", None)
    assert at_the_venue(the_venue, account) == Decimal("500.00")
    assert push(confirm(back, right)).state == "pending"


@pytest.mark.parametrize("fault", ["lose_answer", "drop_after_purchase"])
def test_a_withdrawal_whose_answer_was_lost_is_looked_up(the_venue, fault):
    account = real()
    row = withdraw(account)
    code = code_of(the_venue, account)
    the_venue.control("POST", "faults", {"fault": fault, "call": "payment_agent_withdraw"})
    unknown = push(confirm(row, code))
    assert (unknown.state, unknown.code) == ("unknown", code)
    the_venue.control("DELETE", "faults")
    eventually(lambda: push(unknown).state == "done")
    assert (money(account)[0], at_the_venue(the_venue, account)) == (Decimal(50), Decimal("450.00"))
    assert Funding.objects.get(pk=row.pk).code is None


def test_a_withdrawal_that_never_arrived_is_sent_again_after_a_while(the_venue):
    account = real()
    row = withdraw(account)
    code = code_of(the_venue, account)
    the_venue.control("POST", "faults", {"fault": "drop_before_purchase", "call": "payment_agent_withdraw"})
    unknown = push(confirm(row, code))
    assert unknown.state == "unknown"
    assert push(unknown).state == "unknown", "it may still be on its way"
    long_ago = timezone.now() - funding.SETTLE_DOWN - timedelta(seconds=1)
    Funding.objects.filter(pk=row.pk).update(changed_at=long_ago)
    assert push(Funding.objects.get(pk=row.pk)).state == "pending"
    assert at_the_venue(the_venue, account) == Decimal("450.00")


def test_without_a_code_it_lapses_and_nothing_moved(the_venue):
    account = real()
    row = withdraw(account)
    late = row.code_until + timedelta(seconds=1)
    with pytest.raises(funding.CodeLapsed):
        funding.confirm(row, code="123456", by=TESTER, at=late)
    assert funding.push(row, now=lambda: late).state == "lapsed"
    with pytest.raises(funding.CodeLapsed):
        funding.confirm(row, code="123456", by=TESTER, at=late)
    assert (money(account)[0], at_the_venue(the_venue, account)) == (0, Decimal("500.00"))
    assert events(row) == ["funding.requested", "funding.lapsed"]


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345x", "١٢٣٤٥٦"])
def test_what_is_no_code_is_refused(the_venue, code):
    row = withdraw(real())
    with pytest.raises(InvalidInput):
        confirm(row, code)
    assert Funding.objects.get(pk=row.pk).state == "code_wanted"


def test_the_code_stands_in_no_event_and_no_page_of_the_console(the_venue):
    from tests.edges import staff

    account = real()
    row = withdraw(account)
    code = code_of(the_venue, account)
    confirm(row, code)
    page = staff.browser(staff.superuser()).get(staff.page(row)).content.decode()
    assert code not in page
    assert code not in repr(list(Event.objects.values_list("payload", flat=True)))


# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_somebody_else_s_funding_is_not_there():
    row = deposit(rich(real()))
    with pytest.raises(NotFound):
        funding.of_user(world.client().user, row.uuid)


def test_staff_have_the_venue_asked_once_per_key():
    row = deposit(rich(real()))
    given = {"by": TESTER, "at": timezone.now(), "reason": "The client is on the phone."}
    funding.request_push(row, key="p", **given)
    assert events(row)[-1] == "funding.push_requested"
    done = push(row)
    with pytest.raises(MoveNotAllowed):
        funding.request_push(done, key="p2", **given)


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 0},
        {"hold": None},
        {"code": "123456", "state": "done"},
    ],
)
def test_the_database_keeps_what_must_never_be_false(change):
    row = deposit(rich(real()))
    with pytest.raises(IntegrityError), transaction.atomic():
        Funding.objects.filter(pk=row.pk).update(**change)
