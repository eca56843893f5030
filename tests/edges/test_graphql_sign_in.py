"""Signing up, logging in and staying logged in, over the API."""

from datetime import timedelta

import jwt
import pytest
from django.conf import settings
from django.utils import timezone

from backoffice.models import Event, Session, User
from compliance.models import Client
from tests import world
from tests.edges.api import LOG_IN, REFRESH, SIGN_UP, App

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
PERSON = {
    "email": "New@Example.com",
    "password": world.PASSWORD,
    "firstName": "Amina",
    "lastName": "Odhiambo",
}
ME = "{ me { email clients { name role } } }"


def test_signing_up_opens_a_client_and_logs_in():
    app = App()
    answer = app.data(SIGN_UP, input=PERSON)
    assert answer["me"]["email"] == "New@Example.com"
    assert answer["me"]["clients"] == [{"name": "Amina Odhiambo", "role": "OWNER".lower()}]
    app.access = answer["tokens"]["accessToken"]
    assert app.data(ME)["email"] == "New@Example.com"
    (account,) = app.data("{ tradingAccounts { kind state balance { amount currency } } }")
    assert account == {"kind": "demo", "state": "opening", "balance": {"amount": "0.00", "currency": "USD"}}


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"email": "nonsense"}, "INVALID_INPUT", "email"),
        ({"password": "short"}, "WEAK_PASSWORD", "password"),
        ({"password": "password123"}, "WEAK_PASSWORD", "password"),
        ({"firstName": "  "}, "INVALID_INPUT", "firstName"),
        ({"country": "Kenya"}, "INVALID_INPUT", "country"),
        ({"dateOfBirth": "2999-01-01"}, "INVALID_INPUT", "dateOfBirth"),
    ],
)
def test_a_sign_up_that_cannot_be_taken_names_its_field_and_leaves_nothing(change, code, field):
    answer = App().data(SIGN_UP, input={**PERSON, **change})
    assert (answer["code"], answer["field"]) == (code, field)
    assert not User.objects.exists() and not Client.objects.exists() and not Event.objects.exists()


def test_an_address_is_taken_whatever_its_case():
    world.client("amina@example.com")
    before = Client.objects.count()
    answer = App().data(SIGN_UP, input={**PERSON, "email": "AMINA@example.com"})
    assert (answer["code"], answer["field"], Client.objects.count()) == ("EMAIL_TAKEN", "email", before)


def test_wrong_password_unknown_address_and_staff_look_the_same():
    world.client("amina@example.com")
    staff = world.staff()
    for email, password in [
        ("amina@example.com", "wrong"),
        ("nobody@example.com", "x"),
        (staff.email, world.PASSWORD),
    ]:
        answer = App().data(LOG_IN, email=email, password=password)
        assert (answer["code"], answer["message"]) == (
            "BAD_CREDENTIALS",
            "E-mail address or password is wrong.",
        )
    assert Event.objects.filter(name="user.log_in_failed").count() == 3
    assert not Session.objects.exists()


def test_a_refresh_token_buys_new_tokens_once_and_its_reuse_ends_the_session():
    app = App().log_in(world.client().user.email)
    first = app.refresh
    second = app.data(REFRESH, token=first)
    app.access = second["accessToken"]
    assert app.data(ME)
    assert app.data(REFRESH, token=first)["code"] == "REFRESH_TOKEN_REUSED"
    assert app.code(ME) == "INVALID_TOKEN"
    assert app.data(REFRESH, token=second["refreshToken"])["code"] == "INVALID_TOKEN"


def test_logging_out_ends_the_tokens_at_once():
    app = App().log_in(world.client().user.email)
    assert app.data("mutation { logOut { ... on LoggedOut { loggedOut } } }") == {"loggedOut": True}
    assert app.code(ME) == "INVALID_TOKEN"
    assert app.data(REFRESH, token=app.refresh)["code"] == "INVALID_TOKEN"


def test_an_expired_a_forged_and_a_nonsensical_access_token_are_refused():
    app = App().log_in(world.client().user.email)
    claims = jwt.decode(app.access, settings.SECRET_KEY, algorithms=["HS256"], audience="api")
    expired = {**claims, "exp": int((timezone.now() - timedelta(seconds=1)).timestamp())}
    app.access = jwt.encode(expired, settings.SECRET_KEY, algorithm="HS256")
    assert app.code(ME) == "TOKEN_EXPIRED"
    app.access = jwt.encode(claims, "x" * 60, algorithm="HS256")
    assert app.code(ME) == "INVALID_TOKEN"
    app.access = jwt.encode(claims, "", algorithm="none")
    assert app.code(ME) == "INVALID_TOKEN"
    app.access = "nonsense"
    assert app.code(ME) == "INVALID_TOKEN"


def test_a_user_who_may_not_log_in_any_more_is_out_at_once():
    opening = world.client()
    app = App().log_in(opening.user.email)
    User.objects.filter(pk=opening.user.pk).update(is_active=False)
    assert app.code(ME) == "INVALID_TOKEN"
    assert app.data(LOG_IN, email=opening.user.email, password=world.PASSWORD)["code"] == "BAD_CREDENTIALS"
