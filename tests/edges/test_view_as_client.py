"""Staff look at the client app as a client sees it: read only, for minutes, written down; and who looked at whom."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from backoffice import sessions
from backoffice.models import Access, Event, Session, User
from compliance import viewing
from compliance.models import Client, Desk, Membership
from tests import world
from tests.edges import operations, staff
from tests.edges.api import PLACE, App

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
REASON = "They say that a trade is missing; ticket 4711."


def look(client, user=None, at=None):
    """An app on the token of a look at this client, and the look."""
    at = at or timezone.now()
    session = viewing.begin(client, user or world.staff("Support"), at=at, reason=REASON)
    app = App()
    app.access = sessions.access_token(session, expires_at=viewing.until(session))
    return app, session


def start(browser, client):
    url = reverse("admin:compliance_client_view_as_client", args=[client.pk])
    return browser.post(url, {"key": world.key(), "reason": REASON})


def test_the_button_leads_to_the_client_app_on_a_token_that_is_kept_nowhere():
    client = world.account().client
    browser = staff.of_role("Support")
    assert "View as client" in browser.get(staff.page(client)).content.decode()
    assert Session.objects.filter(kind="view").count() == 0
    answer = start(browser, client)
    url = reverse("view_as_client", args=[client.uuid])
    assert (answer.status_code, answer["Location"]) == (302, url)
    page = browser.get(url)
    text = page.content.decode()
    assert f"You see what <strong>{client}</strong> sees, read only" in text
    assert page["Cache-Control"].find("no-store") >= 0
    token = text.split('data-token="')[1].split('"')[0]
    app = App()
    app.access = token
    assert app.data("{ me { name clients { name } } }")["clients"] == [{"name": client.name}]
    event = Event.objects.get(name="client.viewed_as")
    assert (event.client_id, event.reason.text) == (client.uuid, REASON)
    assert browser.post(url).status_code == 302
    assert app.code("{ me { name } }") == "INVALID_TOKEN"
    assert browser.get(url)["Location"] == staff.page(client)


def test_every_mutation_is_refused_with_a_code_and_nothing_moves():
    account = world.account()
    app, _ = look(account.client)
    before = staff.fingerprint()
    assert len(operations.mutations()) >= 10
    answer = app.ask(
        PLACE, input={"symbol": "R_100", "side": "CALL", "stake": "10.00", "duration": 5, "key": world.key()}
    )
    assert answer["errors"][0]["extensions"]["code"] == "READ_ONLY" and answer["data"] is None
    for name in operations.mutations():
        answer = app.ask(operations.mutation(name))
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["READ_ONLY"], (name, answer)
    assert staff.fingerprint() == before


def test_it_shows_this_client_alone_though_the_owner_acts_for_another():
    mine, other = world.account(), world.account()
    owner = mine.client.membership_set.get().user
    Membership.objects.create(client=other.client, user=owner, role="owner")
    world.placed(other)
    app, _ = look(mine.client)
    assert [row["loginId"] for row in app.data("{ tradingAccounts { loginId } }")] == [mine.login_id]
    assert app.data("{ trades(first: 5) { edges { node { id } } } }")["edges"] == []
    assert len(app.data("{ me { clients { name } } }")["clients"]) == 1
    # The owner themself sees both.
    assert len(App().log_in(owner.email).data("{ tradingAccounts { loginId } }")) == 2


def test_it_ends_by_itself_and_at_once_when_a_right_a_desk_or_the_person_is_taken_away():
    client, now = world.account().client, timezone.now()
    lapsed, _ = look(client, at=now - timedelta(minutes=15, seconds=1))
    assert lapsed.code("{ me { name } }") == "TOKEN_EXPIRED"
    for take in (
        lambda person: person.groups.clear(),
        lambda person: person.desks.add(Desk.objects.create(name="Elsewhere")),
        lambda person: User.objects.filter(pk=person.pk).update(is_active=False),
    ):
        user = world.staff("Support")
        app, _ = look(client, user)
        assert app.data("{ me { name } }")["name"]
        take(user)
        assert app.code("{ me { name } }") == "INVALID_TOKEN"


def test_nobody_looks_as_a_client_without_the_permission_or_off_their_desk():
    client = world.account().client
    Client.objects.filter(pk=client.pk).update(desk=Desk.objects.create(name="Here"))
    for role in ("Auditor", "Credit officer", "Dealing desk"):
        browser = staff.of_role(role)
        assert start(browser, client).status_code == 403
        assert browser.get(reverse("view_as_client", args=[client.uuid])).status_code == 404
    user = world.staff("Support")
    user.desks.add(Desk.objects.create(name="There"))
    browser = staff.browser(user)
    assert start(browser, client).status_code == 404
    assert browser.get(reverse("view_as_client", args=[client.uuid])).status_code == 404
    assert staff.browser(None).get(reverse("view_as_client", args=[client.uuid])).status_code == 302
    assert Session.objects.filter(kind="view").count() == 0
    assert not Event.objects.filter(name="client.viewed_as").exists()


def test_a_token_of_the_console_opens_nothing_over_the_api():
    user = world.staff("Administrator")
    staff.browser(user)
    app = App()
    app.access = sessions.access_token(
        Session.objects.get(), expires_at=timezone.now() + timedelta(minutes=5)
    )
    assert app.code("{ me { name } }") == "INVALID_TOKEN"


# ── the access log ──────────────────────────────────────────────────────────────────────────────────────────────


def looked():
    return list(Access.objects.order_by("id").values_list("what", "subject", "client_id"))


def test_pages_of_a_client_and_what_hangs_on_them_are_written_down_once_each():
    account = world.account()
    trade, client = world.placed(account), account.client
    browser = staff.of_role("Support")
    for row in (client, account, trade, account.cash):
        assert browser.get(staff.page(row)).status_code == 200
        browser.get(staff.page(row), {"tab": "1"})  # a part of the same page
    browser.get(staff.page(trade.instrument))  # nobody's
    assert looked() == [
        ("record", label, client.uuid)
        for label in ("compliance.client", "brokerage.tradingaccount", "brokerage.trade", "ledger.account")
    ]
    assert Access.objects.first().correlation_id
    names = set(Event.objects.values_list("name", flat=True))
    assert not [name for name in names if "access" in name]  # never in the feed


def test_every_record_page_that_belongs_to_a_client_is_written_down():
    rows = staff.everything()
    browser = staff.browser(staff.superuser())
    of_clients = {
        "Client",
        "TradingAccount",
        "Trade",
        "Grant",
        "GrantRequest",
        "Funding",
        "Difference",
        "Hold",
        "Account",
        "Session",
        "User",
    }
    found = set()
    for model, row in rows.items():
        before = Access.objects.count()
        browser.get(staff.page(row))
        if Access.objects.count() > before:
            found.add(model.__name__)
    assert of_clients <= found
    assert not found & {"Group", "Desk", "Currency", "Schedule", "FailedJob", "Instrument", "MarkupReport"}


def test_searches_that_told_of_a_client_are_written_down_and_others_are_not():
    client = world.client(first_name="Zuri", last_name="Kamau").client
    browser = staff.of_role("Support")
    browser.get(reverse("admin:search"), {"s": "zuri"})
    browser.get(reverse("admin:search"), {"s": "nobody at all"})
    url = reverse("admin:compliance_client_changelist")
    browser.get(url, {"q": "zuri"})
    browser.get(url, {"q": "nobody"})
    browser.get(url)
    assert looked() == [("search", "compliance.client", client.uuid)] * 2


def test_what_is_asked_as_a_client_is_written_down():
    client = world.account().client
    app, session = look(client)
    app.ask("{ me { name } tradingAccounts { loginId } }")
    (row,) = Access.objects.all()
    assert (row.what, row.subject, row.by_user, row.client_id) == (
        "view",
        "me, tradingAccounts",
        session.user,
        client.uuid,
    )
    App().log_in(client.membership_set.get().user.email).ask("{ me { name } }")
    assert Access.objects.count() == 1  # the client themself is not staff


def test_who_looked_is_shown_to_those_who_watch_and_to_nobody_else():
    client = world.account().client
    nosy = world.staff("Support")
    staff.browser(nosy).get(staff.page(client))
    for role in ("Compliance officer", "Auditor", "Administrator"):
        browser = staff.of_role(role)
        assert nosy.full_name in browser.get(reverse("admin:backoffice_access_changelist")).content.decode()
        assert "Who looked" in browser.get(staff.page(client)).content.decode()
    for role in ("Support", "Payments operator", "Dealing desk", "KYC officer"):
        browser = staff.of_role(role)
        assert browser.get(reverse("admin:backoffice_access_changelist")).status_code == 403
        assert "Who looked" not in browser.get(staff.page(client)).content.decode()


def test_the_access_log_cannot_be_changed_and_whole_months_are_made_and_dropped():
    from datetime import UTC, datetime

    from django.db import IntegrityError, connection, transaction

    from backoffice import access

    user, client = world.staff("Support"), world.client().client
    with connection.cursor() as cursor:
        cursor.execute(
            "SET CONSTRAINTS ALL IMMEDIATE"
        )  # the test is one transaction; those who look and drop are not
    access.note(user, [client.uuid], "record", "compliance.client", "1", at=timezone.now())
    for change in (
        "UPDATE backoffice_access SET subject = 'x'",
        "DELETE FROM backoffice_access",
        "TRUNCATE backoffice_access",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)
    assert Access.objects.count() == 1
    then = datetime(2031, 3, 15, tzinfo=UTC)
    made = access.make_months(then)
    assert (
        len(made) == 13 and made[0] == "backoffice_access_2031_03" and made[-1] == "backoffice_access_2032_03"
    )
    assert access.make_months(then) == []
    access.note(user, [client.uuid], "record", "compliance.client", "1", at=then)
    assert all(
        name < "backoffice_access_2031_03" for name in access.drop_old(datetime(2038, 3, 1, tzinfo=UTC))
    )
    assert Access.objects.get().at == then
    assert access.drop_old(datetime(2038, 4, 1, tzinfo=UTC)) == ["backoffice_access_2031_03"]
    assert Access.objects.count() == 0
