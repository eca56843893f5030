"""The venue's monthly report of our markup beside ours: equal, different and accepted, paid; each once."""

import asyncio
import itertools
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from backoffice.errors import InvalidInput, KeyReused, MoveNotAllowed
from backoffice.models import Event
from backoffice.who import By
from brokerage import markup_reports
from brokerage.deriv.opening import Addresses, Credentials, open_client
from brokerage.deriv.types import ContractTerms
from brokerage.models import MarkupReport, Trade
from ledger.models import Account, Entry
from tests import world
from tests.brokerage.deriv.running import SimulatorProcess
from tests.edges import staff

pytestmark = [pytest.mark.django_db, pytest.mark.processes, pytest.mark.usefixtures("reference_data")]
RISE = ContractTerms("CALL", "1HZ100V", "stake", Decimal("10.00"), 1, "t", "USD")
OFFICER = By.system("officer")
_apps = itertools.count(5001)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with SimulatorProcess(tmp_path_factory.mktemp("desk") / "venue.sqlite3", 20, "--no-limits") as process:
        yield process


@pytest.fixture
def app(desk, settings):
    """An application of its own at the simulator, so that each test has a report of its own."""
    number = next(_apps)
    settings.CONFIG = settings.CONFIG.model_copy(
        update={"deriv_sim_port": desk.port, "deriv_app_id": number, "deriv_v4_app_id": str(number)}
    )
    return number


def month():
    return timezone.now().astimezone(UTC).date().replace(day=1)


def after():
    """When this month is over."""
    return datetime(month().year, month().month, 1, tzinfo=UTC) + timedelta(days=32)


def sold_by_the_venue(desk, app, percent="2", generation="v3"):
    """A real client's purchase at the venue with this markup; what the venue took of it for us."""
    account = desk.open_account(f"real-{app}", is_demo=False)

    async def buy():
        addresses = Addresses(desk.socket_url, app, f"http://127.0.0.1:{desk.port}", str(app))
        client = await open_client(addresses, Credentials(generation, account["login_id"], account["token"]))
        try:
            await client.buy_with_terms(RISE, Decimal("10.00"), Decimal(percent))
        finally:
            await client.close()

    asyncio.run(buy())
    return Decimal(desk.books(account["login_id"])["contracts"][-1]["markup"])


def booked(markup, kind="real", generation="v3"):
    """A trade of ours on an account of this kind, with this markup in its books."""
    account = world.account()
    account.kind = kind
    account.save()
    trade = world.opened(world.placed(account))
    Trade.objects.filter(pk=trade.pk).update(
        markup=markup, generation=generation, purchased_at=timezone.now()
    )
    return trade


def compare(at):
    return markup_reports.compare(month(), "v3", at=at)


def owed():
    rows = Account.objects.filter(book="real", purpose="markup_receivable")
    return sum((row.posted for row in rows), Decimal(0))


def events():
    return list(
        Event.objects.filter(subject_type="markup_report").order_by("id").values_list("name", flat=True)
    )


def different(desk, app):
    markup = sold_by_the_venue(desk, app)
    booked(markup + Decimal("0.05"))
    (row,) = compare(after())
    return row


def test_a_month_that_runs_is_compared_and_decides_nothing(desk, app):
    sold_by_the_venue(desk, app)
    (row,) = compare(timezone.now())
    assert (row.state, row.ours, row.venues_count) == ("running", 0, 1)
    (again,) = compare(timezone.now())
    assert (again.pk, events()) == (row.pk, ["markup.compared"])


def test_what_both_say_alike_waits_for_its_payment_only(desk, app):
    markup = sold_by_the_venue(desk, app)
    booked(markup)
    booked(Decimal("5.00"), kind="demo")
    (row,) = compare(after())
    assert (row.state, row.ours, row.ours_count, row.venues, row.venues_count) == (
        "equal",
        markup,
        1,
        markup,
        1,
    )
    before = owed()
    given = {
        "amount": str(markup),
        "reference": "WIRE 77",
        "by": OFFICER,
        "at": after(),
        "reason": "It came.",
    }
    paid = markup_reports.record_payment(row, key="p1", **given)
    assert (paid.state, paid.reference, owed()) == ("paid", "WIRE 77", before - markup)
    markup_reports.record_payment(row, key="p1", **given)
    assert owed() == before - markup, "the same key again is once"
    with pytest.raises(MoveNotAllowed):
        markup_reports.record_payment(row, key="p2", **given)
    assert [row.pk for row in compare(after())] == [row.pk] and events()[-1] == "markup.paid"


def test_in_the_console_the_entry_of_a_payment_is_shown_before_it_is_recorded(desk, app):
    row = different(desk, app)
    row = markup_reports.accept(row, by=OFFICER, at=after(), key="a", reason="The venue rounds down.")
    browser, before = staff.of_role("Administrator", elevated=True), owed()
    url = reverse("admin:brokerage_markupreport_record_payment", args=[row.pk])
    given = {"amount": str(row.venues), "reference": "WIRE 77", "reason": "It came today.", "key": "p1"}
    shown = browser.post(url, given).content.decode()
    assert "Balance after" in shown and owed() == before, "the first press moves nothing"
    seen = re.search(r'name="seen" value="(\w{64})"', shown)
    browser.post(url, {**given, "seen": seen[1]})
    row.refresh_from_db()
    assert (row.state, owed()) == ("paid", before - row.venues)


def test_another_sum_is_different_until_somebody_accepts_it(desk, app):
    row = different(desk, app)
    assert (row.state, row.gap) == ("different", Decimal("-0.05"))
    before = owed()
    with pytest.raises(MoveNotAllowed):
        markup_reports.record_payment(
            row, amount=row.venues, reference="W", by=OFFICER, at=after(), key="k", reason="."
        )
    assert owed() == before
    accepted = markup_reports.accept(row, by=OFFICER, at=after(), key="a1", reason="The venue rounds down.")
    assert (accepted.state, owed()) == ("accepted", before - Decimal("0.05"))
    markup_reports.accept(row, by=OFFICER, at=after(), key="a1", reason="Again.")
    assert owed() == before - Decimal("0.05")
    assert events() == ["markup.compared", "markup.accepted"]


def test_a_payment_of_another_sum_or_without_a_reference_is_refused_and_nothing_moves(desk, app):
    markup = sold_by_the_venue(desk, app)
    booked(markup)
    (row,) = compare(after())
    before = (owed(), Entry.objects.count(), events())
    given = {"by": OFFICER, "at": after(), "key": "k", "reason": "."}
    for amount, reference, error in (
        (markup + 1, "W", markup_reports.OtherSum),
        (markup, "  ", InvalidInput),
        ("ten", "W", InvalidInput),
        ("0.001", "W", InvalidInput),
    ):
        with pytest.raises(error):
            markup_reports.record_payment(row, amount=amount, reference=reference, **given)
    assert (owed(), Entry.objects.count(), events()) == before


def test_a_key_says_one_thing(desk, app):
    row = different(desk, app)
    markup_reports.accept(row, by=OFFICER, at=after(), key="k", reason="Yes.")
    other = MarkupReport.objects.create(
        month=date(2026, 1, 1), generation="v3", currency=row.currency, ours="1", ours_count=1, venues="2",
        venues_count=1, state="different", compared_at=after(),
    )  # fmt: skip
    with pytest.raises(KeyReused):
        markup_reports.accept(other, by=OFFICER, at=after(), key="k", reason="Yes.")


def test_without_a_token_the_reports_are_not_read(app, settings):
    settings.CONFIG = settings.CONFIG.model_copy(update={"deriv_url": "wss://venue.invalid"})
    with pytest.raises(markup_reports.NoOwnerToken):
        compare(after())
    assert not MarkupReport.objects.exists()


def test_each_generation_has_a_report_of_its_own(desk, app):
    old, new = sold_by_the_venue(desk, app), sold_by_the_venue(desk, app, generation="v4")
    booked(old + new)
    booked(new, generation="v4")
    rows = markup_reports.compare_lately(at=timezone.now())
    found = {row.generation: (row.ours, row.venues, row.venues_count) for row in rows}
    # An application's number is the same in both here, so each report tells of both purchases.
    assert found == {"v3": (old + new, old + new, 2), "v4": (new, old + new, 2)}
