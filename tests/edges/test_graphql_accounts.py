"""Forgotten passwords, addresses to be confirmed, sessions and new devices; and that nobody learns who has an account."""

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import hashers
from django.core import mail as outbox
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backoffice import mail, passwords, sessions
from backoffice.models import Event, Mail, MailedToken, Session, User
from backoffice.secrets import seal
from compliance.models import Client as OurClient
from tests import world
from tests.edges.api import LOG_IN, REFRESH, SIGN_UP, App

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
PROBLEM = "... on Problem { code field message }"
REQUEST = f"mutation($email: String!) {{ requestPasswordReset(email: $email) {{ ... on MailSent {{ message }} {PROBLEM} }} }}"
RESET = f"mutation($token: String!, $password: String!) {{ resetPassword(token: $token, password: $password) {{ ... on PasswordReset {{ reset }} {PROBLEM} }} }}"
VERIFY = f"mutation($token: String!) {{ verifyEmail(token: $token) {{ ... on EmailVerified {{ verified }} {PROBLEM} }} }}"
CLOSE = f"mutation($id: ID!) {{ closeSession(id: $id) {{ ... on SessionClosed {{ id }} {PROBLEM} }} }}"
SESSIONS = "{ sessions { id isCurrent agent address } }"
UP = SIGN_UP.replace("... on Problem", "... on MailSent { message } ... on Problem")
NEW = "another-horse-43"


def person(email):
    return {"email": email, "password": world.PASSWORD, "firstName": "Amina", "lastName": "Odhiambo"}


def delivered():
    """Have everything in the outbox sent; the bodies, oldest first."""
    outbox.outbox.clear()
    mail.sweep(at=timezone.now())
    return [(message.to, message.subject, message.body) for message in outbox.outbox]


def token_in(body, kind):
    return body.partition(f"#{kind}=")[2].split()[0]


@pytest.fixture
def counted(monkeypatch):
    """How many passwords were hashed, whatever for."""
    made = []
    hasher = hashers.get_hasher("default")
    plain = type(hasher).encode

    def encode(self, *args, **kwargs):
        made.append(1)
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(type(hasher), "encode", encode)
    return made


@pytest.fixture
def confirming(settings):
    settings.CONFIG = settings.CONFIG.model_copy(update={"confirm_email": True})


def reset_link(user):
    passwords.mail_reset(seal(user.email.upper()), at=timezone.now())
    ((to, _, body),) = delivered()
    assert to == [user.email]
    return token_in(body, "reset")


# ── nobody learns who has an account ────────────────────────────────────────────────────────────────────────────


def asked(query, **variables):
    """Everything that a caller could tell an answer by: body, queries asked, and how long it takes, in hashes."""
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = App().ask(query, **variables)
    return answer, len(queries)


def test_a_reset_is_asked_for_in_the_same_way_whether_the_address_is_known_or_not(counted):
    known, staff = world.client().user, world.staff()
    counted.clear()
    answers = [
        asked(REQUEST, email=email) for email in (known.email, "nobody@example.com", staff.email, "nonsense")
    ]
    assert answers == [answers[0]] * 4
    assert "message" in answers[0][0]["data"]["requestPasswordReset"]
    assert counted == []
    assert not Mail.objects.exists(), "what differs happens later, in a worker"


def test_a_log_in_that_fails_costs_one_hash_whyever_it_fails(counted):
    known, staff, gone = world.client().user, world.staff(), world.client().user
    User.objects.filter(pk=gone.pk).update(is_active=False)
    answers = []
    for email in (known.email, "nobody@example.com", staff.email, gone.email):
        counted.clear()
        answers.append((App().ask(LOG_IN, email=email, password="wrong"), len(counted)))
    assert answers == [answers[0]] * 4
    assert answers[0][1] == 1


def test_signing_up_answers_the_same_whether_the_address_is_known_or_not(confirming, counted):
    world.client("known@example.com")
    staff = world.staff()
    answers = []
    for email in ("known@example.com", "KNOWN@example.com", "new@example.com", staff.email):
        counted.clear()
        answers.append((App().ask(UP, input=person(email)), len(counted)))
    assert answers == [answers[0]] * 4
    assert "message" in answers[0][0]["data"]["signUp"] and answers[0][1] == 1
    assert User.objects.filter(email="new@example.com").count() == 1
    assert OurClient.objects.count() == 2, "nothing was opened for those who were known"


def test_whoever_is_known_is_told_so_by_mail_and_nobody_else_is(confirming):
    world.client("known@example.com")
    staff = world.staff()
    for email in ("known@example.com", staff.email):
        App().ask(UP, input=person(email))
    ((to, subject, _),) = delivered()
    assert (to, subject) == (["known@example.com"], "You already have a log-in")


def test_a_sign_up_that_nobody_confirmed_lets_nobody_in_and_tells_nothing(confirming):
    App().ask(UP, input=person("new@example.com"))
    world.client("known@example.com")
    wrong = App().ask(LOG_IN, email="known@example.com", password="wrong")
    assert App().ask(LOG_IN, email="new@example.com", password=world.PASSWORD) == wrong
    (_, _, body), *_ = delivered()
    assert App().data(VERIFY, token=token_in(body, "verify")) == {"verified": True}
    assert App().log_in("new@example.com").access


def test_where_nobody_confirms_a_sign_up_logs_in_at_once_and_is_mailed_a_link():
    app = App()
    app.access = app.data(UP, input=person("new@example.com"))["tokens"]["accessToken"]
    assert app.data("{ me { emailVerified } }") == {"emailVerified": False}
    ((_, _, body),) = delivered()
    app.data(VERIFY, token=token_in(body, "verify"))
    assert app.data("{ me { emailVerified } }") == {"emailVerified": True}


# ── a new password ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reset_sets_the_password_ends_every_session_and_says_so_by_mail():
    user = world.client().user
    apps = [App().log_in(user.email), App().log_in(user.email)]
    token = reset_link(user)
    assert App().data(RESET, token=token, password=NEW) == {"reset": True}
    for app in apps:
        assert app.code("{ me { id } }") == "INVALID_TOKEN"
        assert app.data(REFRESH, token=app.refresh)["code"] == "INVALID_TOKEN"
    assert App().data(LOG_IN, email=user.email, password=world.PASSWORD)["code"] == "BAD_CREDENTIALS"
    assert App().log_in(user.email, NEW).access
    assert {session.end for session in Session.objects.filter(ended_at__isnull=False)} == {Session.End.RESET}
    assert [subject for _, subject, _ in delivered()] == ["Your password was changed"]


def test_a_link_is_good_once_and_only_the_last_one_and_not_for_long():
    user = world.client().user
    old, token = reset_link(user), reset_link(user)
    hashed = User.objects.get(pk=user.pk).password
    late = timezone.now() + timedelta(minutes=30)
    with pytest.raises(passwords.mailed_tokens.LinkNotGood):
        passwords.reset(token, NEW, at=late)
    for wrong in (old, token + "x", "", "verify"):
        assert App().data(RESET, token=wrong, password=NEW)["code"] == "LINK_NOT_GOOD"
    assert User.objects.get(pk=user.pk).password == hashed
    App().data(RESET, token=token, password=NEW)
    assert App().data(RESET, token=token, password=NEW + "x")["code"] == "LINK_NOT_GOOD"
    assert App().log_in(user.email, NEW).access


def test_a_weak_password_is_refused_and_the_link_stays_good():
    user = world.client().user
    token = reset_link(user)
    problem = App().data(RESET, token=token, password="short")
    assert (problem["code"], problem["field"]) == ("WEAK_PASSWORD", "password")
    assert App().data(RESET, token=token, password="x" * 600)["code"] == "WEAK_PASSWORD"
    assert App().log_in(user.email).access
    assert App().data(RESET, token=token, password=NEW) == {"reset": True}


def test_a_token_for_one_purpose_is_none_for_the_other():
    user = world.client().user
    token = reset_link(user)
    assert App().data(VERIFY, token=token)["code"] == "LINK_NOT_GOOD"
    assert not User.objects.get(pk=user.pk).email_verified


def test_staff_and_people_who_may_not_log_in_are_mailed_no_link():
    staff, gone = world.staff(), world.client().user
    User.objects.filter(pk=gone.pk).update(is_active=False)
    for user in (staff, gone):
        passwords.mail_reset(seal(user.email), at=timezone.now())
    assert not Mail.objects.exists() and not MailedToken.objects.exists()


def test_neither_tokens_nor_addresses_are_kept_where_anybody_could_read_them():
    user = world.client().user
    passwords.mail_reset(seal(user.email), at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM backoffice_mail")
        kept = repr(cursor.fetchall())
    ((_, _, body),) = delivered()
    token = token_in(body, "reset")
    assert token not in kept and user.email not in kept
    assert token not in repr(list(MailedToken.objects.values())) and token not in repr(
        list(Event.objects.values())
    )
    assert Mail.objects.get().context is None, "once it is sent, nothing of it is kept"


# ── sessions and devices ────────────────────────────────────────────────────────────────────────────────────────


def test_a_person_sees_their_sessions_and_closes_one_of_them():
    user = world.client().user
    one, other = App().log_in(user.email), App().log_in(user.email)
    listed = one.data(SESSIONS)
    assert [row["isCurrent"] for row in listed] == [False, True]
    for _ in range(2):
        assert one.data(CLOSE, id=listed[0]["id"]) == {"id": listed[0]["id"]}
    assert other.code("{ me { id } }") == "INVALID_TOKEN"
    assert [row["isCurrent"] for row in one.data(SESSIONS)] == [True]
    assert Session.objects.get(uuid=listed[0]["id"]).end == Session.End.ENDED


def test_somebody_else_s_session_looks_like_none_and_stays_open():
    mine, theirs = App().log_in(world.client().user.email), App().log_in(world.client().user.email)
    (row,) = theirs.data(SESSIONS)
    for wrong in (row["id"], "nonsense"):
        assert mine.data(CLOSE, id=wrong)["code"] == "NOT_FOUND"
    assert theirs.data(SESSIONS)


def test_a_log_in_from_a_new_device_is_mailed_and_recorded_and_the_same_again_is_not():
    user, at = world.client().user, timezone.now()
    begin = lambda agent, address: sessions.start(user, at=at, agent=agent, address=address)  # noqa: E731
    begin("App/1.0 (Phone)", "203.0.113.7")
    assert delivered() == [], "the first device is not a new one"
    begin("App/2.1 (Phone)", "203.0.113.99")
    assert delivered() == [], "another version, another address of the same network"
    begin("App/2.1 (Phone)", "198.51.100.1")
    begin("Other/1.0", "203.0.113.7")
    begin("Other/1.0", "203.0.113.7")
    found = delivered()
    assert [subject for _, subject, _ in found] == ["A log-in from a new device"] * 2
    assert "198.51.100.1" in found[0][2] and "Other/1.0" in found[1][2]
    events = Event.objects.filter(name="user.new_device")
    assert events.count() == 2 and set(events[0].payload) == {"session"}


# ── the outbox ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mail_that_the_server_does_not_take_is_tried_again_later_and_then_given_up(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1  # nobody listens there
    user, at = world.client().user, timezone.now()
    row = mail.queue("already_a_client", to=user, at=at)
    for number in range(1, mail.MOST_TRIES + 1):
        assert mail.sweep(at=at) == 1
        row.refresh_from_db()
        assert (row.tries, row.error) == (number, "ConnectionRefusedError")
        assert mail.sweep(at=at) == 0, "not again before its time"
        at = row.next_try_at
    assert row.state == Mail.State.FAILED and row.context is None


def test_a_mail_that_would_come_too_late_is_not_sent():
    user, at = world.client().user, timezone.now()
    row = mail.queue("already_a_client", to=user, at=at, good_for=timedelta(minutes=30))
    outbox.outbox.clear()
    mail.deliver(row.pk, at=at + timedelta(minutes=30))
    row.refresh_from_db()
    assert (row.state, outbox.outbox) == (Mail.State.FAILED, [])


def test_a_mail_is_sent_once_however_often_a_worker_is_woken():
    row = mail.queue("already_a_client", to=world.client().user, at=timezone.now())
    outbox.outbox.clear()
    for _ in range(3):
        mail.deliver(row.pk, at=timezone.now())
    assert len(outbox.outbox) == 1


def test_every_template_has_a_subject_and_a_name_in_the_console():
    from backoffice.admin.mails import TITLES

    found = {path.stem: path.read_text() for path in mail.TEMPLATES.glob("*.txt")}
    assert set(found) == set(TITLES)
    assert all(text.startswith("Subject: ") and "\n\n" in text for text in found.values())
    assert all("$token" not in text or "#" in text for text in found.values()), "a token stands behind the #"
    assert django_settings.CONFIG.client_url.startswith("http")
