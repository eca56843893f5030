"""Entering the console: two steps, one face for every failure, locks, and sessions that end when they should."""

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from backoffice.console import own_password
from backoffice.models import Event, LogInLock, RecoveryCode, SecondFactor, Session
from backoffice.staff import codes, console_sessions, locks, second_factor
from backoffice.who import By
from tests import world
from tests.edges import staff

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
LOG_IN, HOME = reverse("admin:login"), reverse("admin:index")
REASON = "They called from the number we know."


@pytest.fixture
def enforced(settings):
    """A deployment that asks for a second factor, as production does."""
    settings.CONFIG = settings.CONFIG.model_copy(update={"staff_second_factor": True})


def enrolled(user, *, at=None):
    """Somebody with a second factor; their secret and recovery codes. The code of an hour ago was their last."""
    at = (at or timezone.now()) - timedelta(hours=1)
    secret = second_factor.begin(user, at=at).secret
    return secret, second_factor.confirm(user, codes.code_for(secret, codes.step_of(at)), at=at)


def now_code(secret, steps=0):
    return codes.code_for(secret, codes.step_of(timezone.now()) + steps)


def password(browser, user, word=world.PASSWORD, **given):
    return browser.post(LOG_IN, {"username": user.email, "password": word, **given})


def code(browser, word):
    return browser.post(LOG_IN, {"step": "code", "code": word})


def is_in(browser):
    return browser.get(HOME).status_code == 200


def names(user):
    return list(Event.objects.filter(subject_id=user.uuid).order_by("id").values_list("name", flat=True))


def test_where_it_is_waived_a_password_is_enough_and_the_page_says_so():
    user, browser = world.staff("Support"), Browser()
    page = browser.get(LOG_IN).content.decode()
    assert "This is a demo: nobody need show a second factor" in page
    answer = password(browser, user, next=reverse("admin:compliance_client_changelist"))
    assert (answer.status_code, answer["Location"]) == (302, reverse("admin:compliance_client_changelist"))
    assert is_in(browser)
    assert names(user) == ["staff.logged_in"]
    session = Session.objects.get()
    assert (session.kind, session.second_factor, session.ended_at) == ("console", False, None)
    assert browser.post(reverse("admin:logout")).status_code in (200, 302)
    assert not is_in(browser)
    assert names(user) == ["staff.logged_in", "staff.logged_out"]


def test_nobody_is_sent_to_another_site_after_the_log_in():
    for wanted in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        answer = password(Browser(), world.staff("Support"), next=wanted)
        assert answer["Location"] == HOME


def test_where_it_is_asked_for_nothing_opens_before_a_second_factor_is_enrolled(enforced):
    user, browser = world.staff(is_superuser=True), Browser()
    assert "This is a demo" not in browser.get(LOG_IN).content.decode()
    assert password(browser, user)["Location"] == LOG_IN
    rows = staff.everything()
    urls = [
        HOME,
        reverse("admin:security"),
        reverse("admin:stuck"),
        *[staff.page(row) for row in rows.values()],
    ]
    for url in urls:
        assert browser.get(url)["Location"].startswith(LOG_IN), url
    assert Session.objects.filter(kind="console").count() == 0
    shown = browser.get(LOG_IN).content.decode()
    secret = SecondFactor.objects.get(user=user).secret
    assert "<svg" in shown and " ".join(secret[i : i + 4] for i in range(0, 32, 4)) in shown
    wrong = browser.post(LOG_IN, {"step": "enroll", "code": "000000"}).content.decode()
    assert "WRONG_CODE" in wrong and not is_in(browser)
    said = browser.post(LOG_IN, {"step": "enroll", "code": now_code(secret)}).content.decode()
    assert said.count('<li class="c-code">') == 10 and is_in(browser)
    assert '<li class="c-code">' not in browser.get(LOG_IN, follow=True).content.decode()
    assert Session.objects.get(kind="console").second_factor is True
    assert names(user) == ["staff.second_factor_enrolled", "staff.logged_in"]


def test_a_code_is_asked_for_after_the_password_and_is_good_once(enforced):
    user = world.staff("Support")
    secret, _ = enrolled(user)
    first, second = Browser(), Browser()
    for browser in (first, second):
        assert password(browser, user)["Location"] == LOG_IN
        assert "Your second factor" in browser.get(LOG_IN).content.decode()
        assert not is_in(browser)
    good = now_code(secret)
    assert code(first, good)["Location"] == HOME and is_in(first)
    replayed = code(second, good)
    assert "WRONG_CODE" in replayed.content.decode() and not is_in(second)
    # Whoever has one is asked for it where nobody need have one, too.
    assert names(user)[-2:] == ["staff.logged_in", "staff.log_in_failed"]


def test_a_code_one_step_off_is_taken_and_two_steps_off_is_not():
    at = world.NOW
    secret = codes.new_secret()
    for steps, taken in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        found = codes.matching_step(secret, codes.code_for(secret, codes.step_of(at) + steps), at)
        assert (found is not None) is taken, steps


def test_the_codes_are_those_of_the_standard():
    """RFC 6238, appendix B, SHA-1, the last six digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for seconds, digits in ((59, "287082"), (1111111109, "081804"), (2000000000, "279037")):
        assert codes.code_for(secret, seconds // 30) == digits


def test_a_recovery_code_logs_in_once_and_printing_anew_voids_the_old(enforced):
    user = world.staff("Support")
    _, printed = enrolled(user)
    assert len(set(printed)) == 10
    assert not {row.digest for row in RecoveryCode.objects.all()} & set(printed)
    browser = Browser()
    password(browser, user)
    assert code(browser, printed[0].upper().replace("-", " "))["Location"] == HOME
    again = Browser()
    password(again, user)
    assert "WRONG_CODE" in code(again, printed[0]).content.decode()
    fresh = second_factor.print_codes(user, at=timezone.now())
    assert "WRONG_CODE" in code(again, printed[1]).content.decode()
    assert code(again, fresh[0])["Location"] == HOME
    assert second_factor.left(user) == 9
    assert Event.objects.filter(name="staff.recovery_code_used").count() == 2


def test_a_secret_is_sealed_at_rest_and_can_be_rotated():
    from django.db import connection

    from backoffice import rotation

    user = world.staff("Support")
    secret, _ = enrolled(user)
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM backoffice_secondfactor")
        assert secret not in cursor.fetchone()[0]
    assert (SecondFactor, "secret") in rotation.columns()
    assert {row.column: row.current for row in rotation.rotate()}["backoffice.SecondFactor.secret"] == 1


def test_every_failure_looks_the_same_and_nobody_is_logged_in(monkeypatch):
    from django.contrib.auth.hashers import MD5PasswordHasher

    right, away, locked = (
        world.staff("Support"),
        world.staff("Support", is_active=False),
        world.staff("Support"),
    )
    for _ in range(django_settings.CONFIG.staff_lock_failures):
        locks.failed(locked, by=By.user(locked), at=timezone.now())
    client = world.client().user
    hashed = []
    plain = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda self, *a: hashed.append(1) or plain(self, *a))
    seen = set()
    for email, word in (
        (right.email, "wrong-password-1"), ("nobody@example.com", world.PASSWORD), (away.email, world.PASSWORD),
        (locked.email, world.PASSWORD), (client.email, world.PASSWORD),
    ):  # fmt: skip
        hashed.clear()
        browser = Browser()
        answer = browser.post(LOG_IN, {"username": email, "password": word})
        text = answer.content.decode().replace(email, "")
        start = text.index('<div class="c-refusal"')
        seen.add((answer.status_code, text[start : text.index("</div>", start)], len(hashed)))
        assert not is_in(browser)
    assert len(seen) == 1
    assert next(iter(seen))[2] == 1  # the slow hash is computed once, whoever it is
    assert Session.objects.count() == 0


def test_failures_in_a_row_lock_somebody_out_until_it_lapses_or_is_lifted():
    user, at = world.staff("Support"), timezone.now()
    for number in range(django_settings.CONFIG.staff_lock_failures):
        assert locks.failed(user, by=By.user(user), at=at) is (
            number == django_settings.CONFIG.staff_lock_failures - 1
        )
    assert not is_in(browser := Browser()) and "NO_ENTRY" in password(browser, user).content.decode()
    boss = staff.of_role("Administrator", elevated=True)
    page = boss.get(staff.page(user)).content.decode()
    assert "Locked out" in page and "Lift the lock" in page
    url = reverse("admin:backoffice_user_lift_lock", args=[user.pk])
    assert boss.post(url, {"key": world.key(), "reason": REASON}).status_code == 302
    assert password(browser, user)["Location"] == HOME
    lifted = Event.objects.get(name="staff.lock_lifted")
    assert lifted.reason.text == REASON and Event.objects.filter(name="staff.locked_out").count() == 1
    assert "NOT_LOCKED" in boss.get(url).content.decode()
    # A lock lapses by itself, and the count begins anew.
    LogInLock.objects.filter(user=user).update(locked_until=at)
    assert locks.locked_until(user, at=at) is None
    assert locks.failed(user, by=By.user(user), at=at) is False


def test_a_flood_from_one_address_is_stopped_and_costs_no_hashing(monkeypatch):
    from backoffice.staff import logging_in

    monkeypatch.setattr(logging_in, "BY_ADDRESS", 3)
    for number in range(3):
        assert (
            "NO_ENTRY"
            in Browser()
            .post(LOG_IN, {"username": f"guess{number}@example.com", "password": "x"})
            .content.decode()
        )
    events = Event.objects.count()
    answer = Browser().post(LOG_IN, {"username": "guess9@example.com", "password": "x"}).content.decode()
    assert "TOO_MANY_REQUESTS" in answer and Event.objects.count() == events


def test_guessing_codes_locks_somebody_out_too(enforced):
    user = world.staff("Support")
    secret, _ = enrolled(user)
    browser = Browser()
    password(browser, user)
    for _ in range(django_settings.CONFIG.staff_lock_failures):
        code(browser, "000000")
    assert locks.locked_until(user, at=timezone.now()) is not None
    assert code(browser, now_code(secret)).status_code == 302
    assert not is_in(browser)


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────


def aged(browser, **back):
    """The browser's session as if what is named had been so long ago."""
    session = Session.objects.get(kind="console", ended_at=None)
    for column, length in back.items():
        setattr(session, column, getattr(session, column) - length)
    session.save()
    return session


@pytest.mark.parametrize(
    ("back", "end", "said"),
    [
        ({"refreshed_at": timedelta(minutes=31)}, "idle", "nothing was done for a while"),
        ({"started_at": timedelta(hours=10, seconds=1)}, "expired", "has a longest time"),
    ],
)
def test_a_session_left_idle_or_open_too_long_ends_and_the_next_page_says_so(back, end, said):
    browser = staff.of_role("Support")
    assert is_in(browser)
    session = aged(browser, **back)
    answer = browser.get(HOME, follow=True)
    assert said in answer.content.decode()
    session.refresh_from_db()
    assert (session.end, session.ended_at is not None) == (end, True)
    assert Event.objects.get(name="staff.session_ended").payload["end"] == end


def test_sessions_nobody_comes_back_to_are_ended_by_the_clock():
    staff.of_role("Support"), staff.of_role("Auditor")
    now = timezone.now()
    assert console_sessions.end_overdue(at=now) == 0
    assert console_sessions.end_overdue(at=now + timedelta(minutes=31)) == 2
    assert console_sessions.end_overdue(at=now + timedelta(minutes=31)) == 0


def test_what_is_done_keeps_a_session_alive_at_one_write_a_minute():
    browser = staff.of_role("Support")
    session = aged(browser, refreshed_at=timedelta(minutes=20))
    assert is_in(browser)
    session.refresh_from_db()
    assert timezone.now() - session.refreshed_at < timedelta(minutes=1)
    before = session.refreshed_at
    assert is_in(browser)
    session.refresh_from_db()
    assert session.refreshed_at == before


def test_a_browser_without_a_session_of_ours_is_not_logged_in_whatever_its_cookie_says():
    browser = Browser()
    browser.force_login(world.staff("Support"))
    assert not is_in(browser)


def test_deactivating_somebody_ends_their_sessions_and_their_running_dialog_at_once():
    user, trade = world.staff("Dealing desk"), world.opened()
    browser = staff.browser(user)
    url = reverse("admin:brokerage_trade_sell_now", args=[trade.pk])
    assert browser.get(url).status_code == 200  # the dialog is open
    boss = staff.of_role("Administrator", elevated=True)
    answer = boss.post(staff.page(user, "edit"), {
        "full_name": user.full_name, "locale": "en", "time_zone": "UTC", "change_reason": "Left the company",
        "groups": [str(group.pk) for group in user.groups.all()],
    })  # fmt: skip
    assert answer.status_code == 302
    answer = browser.post(url, {"key": world.key(), "reason": REASON}, headers={"HX-Request": "true"})
    assert answer["HX-Redirect"] == LOG_IN
    trade.refresh_from_db()
    assert trade.sale_requested_at is None
    assert Session.objects.get(user=user).end == "deactivated"
    (event,) = Event.objects.filter(name="staff.rights_changed")
    assert (event.payload["may_log_in"], event.reason.text) == (False, "Left the company")


def test_a_deactivated_client_is_logged_out_of_the_api_at_once():
    from tests.edges.api import App

    user = world.client().user
    app = App().log_in(user.email)
    boss = staff.of_role("Administrator")
    answer = boss.post(staff.page(user, "edit"), {
        "full_name": user.full_name, "locale": "en", "time_zone": "UTC", "change_reason": "Asked by the court",
    })  # fmt: skip
    assert answer.status_code == 302
    assert app.code("{ me { email } }") == "INVALID_TOKEN"
    assert Session.objects.get(user=user).end == "deactivated"


def test_a_role_edited_while_its_holder_is_logged_in_counts_from_their_next_page_on():
    from django.contrib.auth.models import Group, Permission

    trade = world.opened()
    browser = staff.of_role("Dealing desk")
    url = reverse("admin:brokerage_trade_sell_now", args=[trade.pk])
    assert browser.get(url).status_code == 200
    role = Group.objects.get(name="Dealing desk")
    kept = role.permissions.exclude(codename__in=["sell_trade_early"]).exclude(
        codename__regex="^delete_|historical"
    )
    boss = staff.of_role("Administrator", elevated=True)
    answer = boss.post(staff.page(role, "edit"), {
        "name": role.name, "permissions": [str(right.pk) for right in kept], "change_reason": "Sales by phone only",
    })  # fmt: skip
    assert answer.status_code == 302
    assert browser.post(url, {"key": world.key(), "reason": REASON}).status_code == 403
    trade.refresh_from_db()
    assert trade.sale_requested_at is None
    event = Event.objects.get(name="role.changed")
    assert (event.payload["given"], event.payload["taken"]) == ([], ["Sell a client's open trade early"])
    assert event.reason.text == "Sales by phone only"
    history = boss.get(staff.page(role, "history")).content.decode()
    assert "Sales by phone only" in history and "<ins>nothing</ins>" in history
    assert Permission.objects.get(codename="sell_trade_early") not in role.permissions.all()


def test_a_new_password_ends_every_other_session():
    user = world.staff("Support")
    here, there = staff.browser(user), staff.browser(user)
    answer = here.post(reverse("admin:password_change"), {
        "old_password": world.PASSWORD, "new_password1": "another-horse-43", "new_password2": "another-horse-43",
    })  # fmt: skip
    assert answer.status_code == 302
    assert is_in(here) and not is_in(there)
    boss = staff.of_role("Administrator", elevated=True)
    url = reverse("admin:auth_user_password_change", args=[user.pk])
    assert (
        boss.post(url, {"password1": "a-third-horse-44", "password2": "a-third-horse-44"}).status_code == 302
    )
    assert not is_in(here)


def test_the_old_password_is_not_to_be_guessed_at_an_open_console():
    user = world.staff("Support")
    browser = staff.browser(user)
    before = user.password

    def tried(old):
        return browser.post(reverse("admin:password_change"), {
            "old_password": old, "new_password1": "another-horse-43", "new_password2": "another-horse-43",
        })  # fmt: skip

    for _ in range(own_password.TRIES):
        assert "entered incorrectly" in tried("not-the-password").content.decode()
    assert user.log_in_lock.failures == own_password.TRIES
    assert "Too many tries" in tried(world.PASSWORD).content.decode()
    user.refresh_from_db()
    assert user.password == before


def test_removing_a_second_factor_ends_the_sessions_and_voids_the_codes():
    user = world.staff("Support")
    enrolled(user)
    browser = staff.browser(user)
    boss = staff.of_role("Administrator", elevated=True)
    url = reverse("admin:backoffice_user_remove_second_factor", args=[user.pk])
    assert boss.post(url, {"key": world.key(), "reason": REASON}).status_code == 302
    assert not is_in(browser)
    assert second_factor.of(user) is None and second_factor.left(user) == 0
    assert Event.objects.get(name="staff.second_factor_removed").reason.text == REASON
    # Nobody but a superuser does that to a superuser.
    chief = staff.superuser()
    enrolled(chief)
    url = reverse("admin:backoffice_user_remove_second_factor", args=[chief.pk])
    assert boss.post(url, {"key": world.key(), "reason": REASON}).status_code == 403
    assert second_factor.of(chief) is not None


def test_a_session_that_began_without_a_second_factor_ends_where_one_is_asked_for(settings):
    browser = staff.of_role("Support")
    assert is_in(browser)
    settings.CONFIG = settings.CONFIG.model_copy(update={"staff_second_factor": True})
    assert not is_in(browser)
    assert Session.objects.get().end == "credentials"


def test_people_see_where_they_are_logged_in_and_end_it_themselves():
    user = world.staff("Support")
    here, there = staff.browser(user), staff.browser(user)
    url = reverse("admin:security")
    page = here.get(url).content.decode()
    assert page.count("This one") == 1 and "End all others" in page
    other = Session.objects.filter(user=user).order_by("-pk").first()
    assert here.get(url, {"do": "end", "session": str(other.uuid)}).status_code == 200 and is_in(there)
    stranger = staff.of_role("Auditor")
    assert "NOT_FOUND" in stranger.post(url, {"do": "end", "session": str(other.uuid)}).content.decode()
    assert is_in(there)
    assert here.post(url, {"do": "end", "session": str(other.uuid)}).status_code == 302
    assert is_in(here) and not is_in(there)


def test_a_second_factor_is_enrolled_on_one_s_own_page():
    user = world.staff("Support")
    browser, url = staff.browser(user), reverse("admin:security")
    assert "Enroll a second factor" in browser.get(url).content.decode()
    assert SecondFactor.objects.count() == 0
    browser.post(url, {"do": "begin"})
    assert "<svg" in browser.get(url).content.decode()
    secret = SecondFactor.objects.get().secret
    assert "WRONG_CODE" in browser.post(url, {"do": "confirm", "code": "000000"}).content.decode()
    said = browser.post(url, {"do": "confirm", "code": now_code(secret)}).content.decode()
    assert said.count('<li class="c-code">') == 10
    assert secret not in browser.get(url).content.decode()
    # New recovery codes are for who proves themself again: here with a recovery code.
    asked = browser.post(url, {"do": "print"}).content.decode()
    assert "most sensitive actions" in asked and '<li class="c-code">' not in asked
    kept = said.split('<li class="c-code">')[1].split("<")[0]
    assert browser.post(url, {"elevate": "yes", "proof": kept, "elevation_reason": REASON}).status_code == 303
    assert browser.post(url, {"do": "print"}).content.decode().count('<li class="c-code">') == 10


def test_an_operator_lets_the_last_administrator_in_again():
    from django.core.management import CommandError, call_command

    user = world.staff("Administrator")
    enrolled(user)
    for _ in range(django_settings.CONFIG.staff_lock_failures):
        locks.failed(user, by=By.user(user), at=timezone.now())
    call_command("remove_second_factor", user.email, reason=REASON)
    assert second_factor.of(user) is None and locks.locked_until(user, at=timezone.now()) is None
    assert {event.by for event in Event.objects.filter(reason__text=REASON)} == {"system:operator"}
    client = world.client().user
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("remove_second_factor", client.email, reason=REASON)
