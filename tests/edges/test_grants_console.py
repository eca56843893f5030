"""Grants as staff see them: on the account's record, in lists, and among what is stuck; never to be changed."""

import pytest
from django.urls import reverse

from backoffice.who import By
from brokerage import accounts, grants
from brokerage.models import Grant, GrantRequest
from tests import world
from tests.brokerage.at_the_venue import nothing_moves
from tests.edges import staff
from tests.world import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


def text(browser, url):
    answer = browser.get(url)
    assert answer.status_code == 200, url
    return answer.content.decode()


def test_an_accounts_record_says_who_lets_us_in_and_until_when():
    account = world.granted()
    page = text(staff.of_role("Support"), staff.page(account))
    assert "Who lets us in?" in page and "trade account_manage payment" in page
    assert staff.page(account.grant) in page
    own = text(staff.of_role("Support"), staff.page(world.account()))
    assert "None; it has a token of its own" in own


def test_a_refused_grant_and_a_forgotten_request_are_among_what_is_stuck():
    account, request = world.granted(), world.request()
    accounts.grant_states.refuse(account.grant, code="InvalidToken", by=world.TESTER, at=NOW)
    Grant.objects.update(refused_at="2026-01-01T00:00Z")
    GrantRequest.objects.update(requested_at="2026-01-01T00:00Z")
    browser = staff.of_role("Administrator")
    page = text(browser, reverse("admin:stuck"))
    assert "the client must link the accounts again" in page
    assert "it lapses ten minutes after it was asked for" in page
    for row in (account.grant, request, account):
        shown = text(browser, staff.page(row))
        assert "InvalidToken" in shown or row is request


def test_a_grants_story_is_told_in_words():
    account = world.granted()
    grant = account.grant
    accounts.grant_states.record("grant.completed", grant, by=By.system("tester"), at=NOW, accounts=1)
    grants.unlink(account, by=world.TESTER, at=NOW, key="k")
    browser = staff.of_role("Auditor")
    story = text(browser, staff.page(grant))
    assert "<b>Given by the client</b>" in story and "<b>Ended with its last account</b>" in story
    assert "<b>Taken away by the client</b>" in text(browser, staff.page(account))


def test_nobody_changes_adds_or_deletes_a_grant_in_the_console():
    account, request = world.granted(), world.request()
    browser = staff.browser(staff.superuser())
    with nothing_moves():
        for row in (account.grant, request):
            assert browser.post(staff.page(row), {"state": "ended"}).status_code in (302, 403, 405)
            assert browser.post(staff.page(row, "delete"), {"post": "yes"}).status_code in (
                302,
                403,
                404,
                405,
            )
            assert browser.get(reverse(staff.name(type(row), "add"))).status_code in (302, 403, 404)
    assert GrantRequest.objects.get(pk=request.pk).state == "pending"
