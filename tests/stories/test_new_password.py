"""Somebody forgot their password: from the request to the mail that a worker sends, and in again with a new one."""

import pytest

from backoffice.models import User
from tests import world
from tests.edges.test_graphql_accounts import REQUEST, RESET, token_in
from tests.running import LiveApp, until
from tests.stories.test_live_subscriptions import CHANGES, socket

pytestmark = pytest.mark.processes
NEW = "another-horse-43"


def mails(running):
    """What was mailed so far, each as text."""
    return [path.read_text() for path in sorted((running.logs / "mail").glob("*.log"))]


def test_a_forgotten_password_is_replaced_by_a_mailed_link_and_every_session_ends(deployment, app):
    email = app.data("{ me { email } }")["email"]
    stranger = LiveApp(deployment)
    assert stranger.data(REQUEST, email=email) == stranger.data(REQUEST, email="nobody@example.com")

    def link():
        return next((text for text in mails(deployment) if f"To: {email}" in text and "#reset=" in text), "")

    token = token_in(until(link, "the mail has left"), "reset")
    with socket(deployment, f"Bearer {app.access}") as mine:
        mine.subscribe(CHANGES)
        assert mine.next()["event"] == "present"
        assert stranger.data(RESET, token=token, password=NEW) == {"reset": True}
        assert mine.code() == "INVALID_TOKEN", "what is listened to ends too"
    assert stranger.log_in(email, NEW).data("{ me { email } }") == {"email": email}
    assert not [text for text in mails(deployment) if "nobody@example.com" in text]


def test_somebody_who_may_not_log_in_any_more_hears_nothing_more(deployment, app):
    email = app.data("{ me { email } }")["email"]
    with socket(deployment, f"Bearer {app.access}") as mine:
        mine.subscribe(CHANGES)
        assert mine.next()["event"] == "present"
        User.objects.filter(email=email).update(is_active=False)
        assert mine.code() == "INVALID_TOKEN"


def test_no_log_has_what_was_mailed(deployment, app):
    tokens = [
        token_in(text, kind)
        for text in mails(deployment)
        for kind in ("reset", "verify")
        if f"#{kind}=" in text
    ]
    assert tokens and world.PASSWORD
    for log in deployment.logs.glob("*.log"):
        text = log.read_text()
        assert not [token for token in tokens if token in text], log.name
