"""Doing something in the console: dialogs, permissions, refusals shown in place, and nothing on GET."""

import re

import pytest
from django.contrib import admin
from django.test import RequestFactory
from django.urls import reverse

from backoffice.admin.actions import MARK
from backoffice.models import Event
from brokerage import trades
from brokerage.models import Trade
from ledger.models import Account
from tests import world
from tests.edges import staff

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
REASON = "The client asked for it on the phone."


def registered_actions():
    """Every action of every admin: model, name, method, whether it is about a row."""
    for model, console in admin.site._registry.items():
        for kind in ("actions_list", "actions_row", "actions_detail", "actions_submit_line"):
            for name in console._extract_action_names(getattr(console, kind)):
                yield model, console, name, kind != "actions_list"


def url_of(model, console, name, row):
    action = console.get_unfold_action(name)
    return reverse(f"admin:{action.action_name}", args=[row.pk] if row is not None else [])


def state():
    """What must not move: every trade, balance and event; that somebody logged in to try it is none of it."""
    return (
        list(Trade.objects.order_by("pk").values_list("pk", "state", "version", "sale_requested_at")),
        list(Account.objects.order_by("pk").values_list("pk", "posted", "held")),
        Event.objects.exclude(name="staff.logged_in").count(),
    )


def test_every_action_has_a_dialog_and_asks_for_a_permission_that_exists():
    from django.contrib.auth.models import Permission

    known = {
        f"{p.content_type.app_label}.{p.codename}" for p in Permission.objects.select_related("content_type")
    }
    found = list(registered_actions())
    assert len(found) >= 5
    for _model, console, name, _ in found:
        method = getattr(console, name)
        assert getattr(method, MARK, False), f"{name} would run on GET"
        assert method.permission in known, name
    assert not any(console.actions for console in admin.site._registry.values())


def test_no_action_does_anything_on_get_or_without_csrf_or_permission():
    rows = staff.everything()
    world.opened()
    before = state()
    boss, nobody = staff.superuser(), world.staff("")
    careless = staff.browser(boss, enforce_csrf_checks=True)
    for model, console, name, on_row in registered_actions():
        url = url_of(model, console, name, rows[model] if on_row else None)
        data = {"key": world.key(), "reason": REASON}
        assert staff.browser(boss).get(url).status_code == 200
        assert careless.post(url, data).status_code == 403
        assert staff.browser(nobody).get(url).status_code == 403
        assert staff.browser(nobody).post(url, data).status_code == 403
        assert staff.browser(None).post(url, data).status_code == 302
        assert staff.browser(boss).put(url).status_code == 405
    assert state() == before


def action(trade, name):
    return reverse(f"admin:brokerage_trade_{name}", args=[trade.pk])


def test_selling_shows_the_effect_asks_why_and_says_what_happened():
    trade = world.opened()
    user = world.staff("Dealing desk")
    browser = staff.browser(user)
    shown = browser.get(action(trade, "sell_now")).content.decode()
    assert str(trade.contract_id) in shown and "19.53" in shown and "cannot be taken back" in shown
    trade.refresh_from_db()
    assert trade.sale_requested_at is None
    key = world.key()
    answer = browser.post(action(trade, "sell_now"), {"key": key, "reason": REASON}, follow=True)
    assert answer.redirect_chain == [(staff.page(trade), 302)]
    assert "The sale was asked for." in answer.content.decode()
    trade.refresh_from_db()
    assert trade.sale_requested_at is not None
    (event,) = Event.objects.filter(name="trade.sale_requested")
    assert (event.by_user, event.reason.text) == (user, REASON)
    assert f"“{REASON}”" in answer.content.decode()
    # The same dialog sent twice acts once.
    browser.post(action(trade, "sell_now"), {"key": key, "reason": REASON})
    assert Event.objects.filter(name="trade.sale_requested").count() == 1


def test_a_reason_is_needed():
    trade = world.opened()
    before = state()
    browser = staff.browser(world.staff("Dealing desk"))
    for reason in ("", "   ", "why"):
        answer = browser.post(action(trade, "sell_now"), {"key": world.key(), "reason": reason})
        assert answer.status_code == 200 and 'class="c-error"' in answer.content.decode()
    assert state() == before


def test_a_refusal_is_shown_in_the_dialog_with_its_code_and_nothing_moved():
    trade = world.opened()
    dialog = staff.browser(world.staff("Dealing desk"))
    assert dialog.get(action(trade, "sell_now")).status_code == 200
    trades.settle(trade, world.outcome(), by=world.TESTER, at=world.NOW)  # meanwhile
    before = state()
    answer = dialog.post(
        action(trade, "sell_now"), {"key": world.key(), "reason": REASON}, headers={"HX-Request": "true"}
    )
    text = answer.content.decode()
    assert "The trade is won; only an open one can be sold." in text and "NOT_OPEN" in text
    assert "Nothing was changed." in text and "<html" not in text
    assert state() == before
    # Opened again, it says so at once and offers no button.
    again = dialog.get(action(trade, "sell_now")).content.decode()
    assert "NOT_OPEN" in again and "c-danger" not in again


def test_after_a_dialog_in_place_the_page_is_loaded_again():
    trade = world.placed()
    browser = staff.browser(world.staff("Dealing desk"))
    answer = browser.post(
        action(trade, "withdraw_now"), {"key": world.key(), "reason": REASON}, headers={"HX-Request": "true"}
    )
    assert (answer.status_code, answer["HX-Redirect"]) == (200, staff.page(trade))
    trade.refresh_from_db()
    assert trade.state == "withdrawn"


def test_reconciling_is_recorded_with_its_reason_and_only_where_the_venue_could_tell():
    trade = world.submitting()
    browser = staff.browser(world.staff("Dealing desk"))
    assert "NOTHING_TO_RECONCILE" in browser.get(action(trade, "reconcile_now")).content.decode()
    trades.mark_uncertain(trade, code="LOST", message="Lost.", by=world.TESTER, at=world.NOW)
    assert (
        browser.post(action(trade, "reconcile_now"), {"key": world.key(), "reason": REASON}).status_code
        == 302
    )
    assert Event.objects.get(name="trade.reconciliation_requested").reason.text == REASON


def test_buttons_are_offered_where_they_apply_and_to_whom_they_belong():
    trade = world.opened()
    dealer, support = staff.of_role("Dealing desk"), staff.of_role("Support")
    assert "Sell now" in dealer.get(staff.page(trade)).content.decode()
    assert not re.search(r">\s*Withdraw\s*<", dealer.get(staff.page(trade)).content.decode())
    assert "Sell now" not in support.get(staff.page(trade)).content.decode()


def test_a_session_is_closed_by_staff_and_its_tokens_stop():
    from tests.edges.api import App

    app = App().log_in(world.client().user.email)
    from backoffice.models import Session

    session = Session.objects.get()
    url = reverse("admin:backoffice_session_close_session", args=[session.pk])
    assert staff.of_role("Administrator").post(url, {"key": world.key(), "reason": REASON}).status_code == 302
    assert app.code("{ me { email } }") == "INVALID_TOKEN"


def test_a_change_needs_a_reason_which_stands_in_the_history():
    from brokerage.models import Instrument

    row = Instrument.objects.get(symbol="R_100")
    browser = staff.of_role("Dealing desk")
    url = staff.page(row, "edit")
    data = {"is_offered": "on", "min_stake": "0.35", "max_stake": "1500"}
    answer = browser.post(url, data)
    assert answer.status_code == 200 and "Say why. Nothing was saved." in answer.content.decode()
    row.refresh_from_db()
    assert row.max_stake == 2000
    assert browser.post(url, {**data, "change_reason": "Risk limit of the desk"}).status_code == 302
    text = browser.get(staff.page(row, "history")).content.decode()
    assert "Risk limit of the desk" in text and "<del>2,000</del>" in text and "<ins>1,500</ins>" in text


def test_nobody_below_a_superuser_changes_one_or_sets_a_clients_password():
    boss, client = staff.superuser(), world.client().user
    browser = staff.of_role("Administrator", elevated=True)
    for page in (staff.page(boss, "edit"), reverse("admin:auth_user_password_change", args=[boss.pk])):
        assert browser.get(page).status_code == 403
    assert browser.get(reverse("admin:auth_user_password_change", args=[client.pk])).status_code == 403
    other = world.staff("Support")
    url = reverse("admin:auth_user_password_change", args=[other.pk])
    answer = browser.post(url, {"password1": "a-new-password-42", "password2": "a-new-password-42"})
    assert answer.status_code == 302
    other.refresh_from_db()
    assert other.check_password("a-new-password-42")


def test_staff_are_added_as_staff_without_any_right():
    from backoffice.models import User

    browser = staff.of_role("Administrator", elevated=True)
    answer = browser.post(
        reverse("admin:backoffice_user_add"),
        {"email": "new@example.com", "full_name": "New Person", "kind": "client", "is_superuser": "on",
         "password1": world.PASSWORD, "password2": world.PASSWORD},
    )  # fmt: skip
    assert answer.status_code == 302
    made = User.objects.get(email="new@example.com")
    assert (made.kind, made.is_superuser, made.groups.count()) == ("staff", False, 0)


def test_the_request_factory_cannot_leave_a_request_on_an_admin():
    console = admin.site._registry[Trade]
    console.request = RequestFactory().get("/")
    assert not hasattr(console, "request")
