"""The most sensitive actions ask staff to prove themselves again, with a reason, and close by themselves."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone

from backoffice.models import Event, Session
from backoffice.staff import console_sessions, elevation
from brokerage.models import OrderGate
from tests import world
from tests.edges import staff

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
RESUME = reverse("admin:brokerage_ordergate_resume_everything")
HALT = reverse("admin:brokerage_ordergate_halt_everything")
REASON = "The venue sends prices that make no sense."
# Everything that asks for it, by name: nothing joins or leaves this list unnoticed.
ELEVATED = {
    "brokerage.ordergate.change_this", "brokerage.ordergate.resume_everything",
    "backoffice.user.lift_lock", "backoffice.user.remove_second_factor", "ledger.closing.reopen_day",
    "ledger.payment.settle_payment", "ledger.payment.take_payment_on", "ledger.coinarrival.close_coins",
    "ledger.clawback.settle_refund", "ledger.deposit.refund_deposit",
}  # fmt: skip


def proof(**given):
    return {"elevate": "yes", "proof": world.PASSWORD, "elevation_reason": REASON, **given}


def test_which_actions_and_forms_are_elevated_is_written_down():
    from tests.edges.test_admin_actions import registered_actions

    found = {
        f"{model._meta.label_lower}.{name}"
        for model, console, name, _ in registered_actions()
        if getattr(console, name).elevated is True
    }
    assert found == {name for name in ELEVATED if not name.endswith(("change_this", "set_gate"))}
    forms = {
        model._meta.label_lower
        for model, console in admin.site._registry.items()
        if console.needs_elevation(None)
    }
    assert forms == {
        "auth.group", "backoffice.user", "compliance.approvalpolicy", "ledger.bankaccount", "ledger.withdrawalroute", "ledger.coinroute",
    }  # fmt: skip


def test_without_it_the_dialog_asks_who_it_is_and_nothing_moves():
    browser = staff.of_role("Dealing desk")
    for answer in (browser.get(RESUME), browser.post(RESUME, {"key": world.key(), "reason": REASON})):
        text = answer.content.decode()
        assert "This is one of the most sensitive actions." in text and "Your password" in text
        assert "Resume trading now" not in text
    assert OrderGate.objects.count() == 0 and not Event.objects.filter(name="order_gate.changed").exists()


def test_a_wrong_proof_or_no_reason_opens_nothing_and_is_counted():
    browser = staff.of_role("Dealing desk")
    assert "NOT_PROVEN" in browser.post(RESUME, proof(proof="not-the-password")).content.decode()
    assert 'class="c-error"' in browser.post(RESUME, proof(elevation_reason="why")).content.decode()
    session = Session.objects.get()
    assert session.elevated_until is None and session.user.log_in_lock.failures == 1
    assert not Event.objects.filter(name="staff.elevated").exists()
    for _ in range(elevation.TRIES):
        browser.post(RESUME, proof(proof="not-the-password"))
    assert "TOO_MANY_REQUESTS" in browser.post(RESUME, proof()).content.decode()


def test_a_good_proof_opens_the_dialog_the_bar_shows_it_and_it_is_recorded():
    user = world.staff("Dealing desk")
    browser = staff.browser(user)
    answer = browser.post(RESUME, proof(), headers={"HX-Request": "true"})
    assert (answer.status_code, answer["Location"]) == (303, RESUME)
    assert "Resume trading now" in browser.get(RESUME).content.decode()
    assert "The most sensitive actions are open until" in browser.get(reverse("admin:index")).content.decode()
    event = Event.objects.get(name="staff.elevated")
    assert (event.by_user, event.reason.text) == (user, REASON)
    assert browser.post(RESUME, {"key": world.key(), "reason": REASON}).status_code == 302
    assert OrderGate.objects.get().state == "active"
    # The form it asked with is no way around the next one either.
    close = reverse("admin:end_elevation")
    assert browser.get(close).status_code == 405
    assert browser.post(close, {"next": RESUME}).status_code == 302
    assert Event.objects.filter(name="staff.elevation_ended").count() == 1
    assert "most sensitive actions." in browser.get(RESUME).content.decode()


def test_whoever_may_not_do_it_is_not_asked():
    browser = staff.of_role("Support")
    assert browser.get(RESUME).status_code == 403 and browser.post(RESUME, proof()).status_code == 403
    assert Session.objects.get().elevated_until is None


def test_it_closes_after_ten_minutes_and_after_five_without_a_page():
    now = timezone.now()
    for seen, length, is_open in (
        (timedelta(0), timedelta(minutes=9, seconds=59), True),
        (timedelta(0), timedelta(minutes=10), False),
    ):
        session = console_sessions.start(world.staff("Support"), second_factor=False, at=now)
        session = elevation.begin(session, proof=world.PASSWORD, reason=REASON, at=now)
        assert elevation.is_open(session, at=now + seen + length) is is_open
    for minutes, is_open in ((4, True), (5, False)):
        session = console_sessions.start(world.staff("Support"), second_factor=False, at=now)
        elevation.begin(session, proof=world.PASSWORD, reason=REASON, at=now)
        at = now + timedelta(minutes=minutes)
        found = console_sessions.resume(session.uuid, session.user_id, at=at)
        assert elevation.is_open(found, at=at) is is_open
    assert Event.objects.get(name="staff.elevation_ended").payload["end"] == "idle"


def test_it_is_of_one_session_and_ends_with_it():
    user = world.staff("Dealing desk")
    here, there = staff.browser(user, elevated=True), staff.browser(user)
    assert "Resume trading now" in here.get(RESUME).content.decode()
    assert "Resume trading now" not in there.get(RESUME).content.decode()
    here.post(reverse("admin:logout"))
    assert not Session.objects.filter(elevated_until__isnull=False).exists()


def test_halting_everything_asks_for_no_proof_only_resuming_does():
    browser = staff.of_role("Dealing desk")
    assert "Prove that it is you" not in browser.get(HALT).content.decode()
    assert browser.post(HALT, {"key": world.key(), "reason": REASON}).status_code == 302
    assert OrderGate.objects.get().state == "halted"
    answer = browser.post(RESUME, {"key": world.key(), "reason": REASON})
    assert "Prove that it is you" in answer.content.decode()
    assert OrderGate.objects.get().state == "halted"


def test_only_the_gate_of_everything_is_elevated_not_that_of_one_client():
    from brokerage import gate

    browser = staff.of_role("Dealing desk")
    given = {"by": world.TESTER, "at": timezone.now(), "reason": REASON}
    one = gate.change(world.account(), "halted", key="one", **given)
    every = gate.change(None, "halted", key="every", **given)
    for row, asks in ((one, False), (every, True)):
        page = browser.get(reverse("admin:brokerage_ordergate_change_this", args=[row.pk])).content.decode()
        assert ("Prove that it is you" in page) is asks


def test_roles_people_and_passwords_are_edited_only_by_who_proved_themself():
    from django.contrib.auth.models import Group

    user, role = world.staff("Support"), Group.objects.get(name="Support")
    browser = staff.of_role("Administrator")
    password = reverse("admin:auth_user_password_change", args=[user.pk])
    before = (user.password, role.name, list(user.groups.all()))
    for url in (staff.page(user, "edit"), staff.page(role, "edit"), password, reverse("admin:auth_group_add"),
                reverse("admin:backoffice_user_add")):  # fmt: skip
        for answer in (browser.get(url), browser.post(url, {"name": "Anything", "password1": "a-new-password-42",
                       "password2": "a-new-password-42", "change_reason": REASON, "email": "x@example.com"})):  # fmt: skip
            assert "Prove that it is you" in answer.content.decode(), url
    user.refresh_from_db()
    role.refresh_from_db()
    assert (user.password, role.name, list(user.groups.all())) == before
    # A client's person has no rights to speak of.
    assert "Prove that" not in browser.get(staff.page(world.client().user, "edit")).content.decode()


def test_instants_in_a_timeline_are_written_as_people_read_them():
    user = world.staff("Dealing desk")
    staff.browser(user, elevated=True)
    page = staff.of_role("Administrator").get(staff.page(user)).content.decode()
    until = Session.objects.get(user=user).elevated_until
    assert f"until {until:%Y-%m-%d %H:%M:%S} UTC" in page and until.isoformat() not in page
