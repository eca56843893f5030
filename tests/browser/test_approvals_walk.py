"""The approvals inbox in a real browser: take the next, see what it does, agree; then several with their total first."""

import re
from decimal import Decimal

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from compliance.models import Approval, Vote
from tests import world
from tests.browser.conftest import picture
from tests.compliance import notes
from tests.edges import staff

pytestmark = [
    pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reference_data", "redis"),
]  # fmt: skip


@pytest.fixture
def officer(page, live_server):
    """A compliance officer whose browser is logged in."""
    user = world.staff("Compliance officer")
    kept = staff.browser(user).cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies([{"name": kept.key, "value": kept.value, "url": live_server.url}])
    return user


def test_the_inbox_is_worked_from_its_oldest_end_with_the_effect_before_each_act(page, live_server, officer):
    from playwright.sync_api import expect

    notes.policy(approvers=2, currency_id="EUR")
    rows = [notes.asked(amount=Decimal(amount), currency=code, at=timezone.now()) for amount, code in
            (("1250.00", "USD"), ("80.00", "EUR"), ("64000.00", "USD"), ("0.25", "BTC"))]  # fmt: skip
    page.goto(live_server.url + reverse("admin:compliance_approval_changelist") + "?queue=unassigned")
    expect(page.get_by_text("1,250.00").first).to_be_visible()
    picture(page, "console-approvals")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "no sideways scrolling"
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("#result_list tr.c-current")).to_contain_text("80.00")
    page.keyboard.press("?")
    expect(page.get_by_text("Next row")).to_be_visible()
    page.keyboard.press("Escape")

    page.get_by_role("link", name="Take next").first.click()
    page.get_by_role("button", name="Take the next one").click()
    page.wait_for_url(re.compile(f"/{rows[0].pk}/change/"))
    expect(page.get_by_text("low → high").first).to_be_visible()
    picture(page, "console-approval")
    page.get_by_role("link", name=re.compile(r"\bApprove$")).click()
    expect(page.get_by_role("button", name=re.compile("Approve 1,250.00 USD"))).to_be_visible()
    picture(page, "console-approve-dialog")
    page.get_by_role("button", name=re.compile("Approve 1,250.00 USD")).click()
    expect(page.get_by_text("Agreed to, and done.").first).to_be_visible()
    assert Approval.objects.get(pk=rows[0].pk).state == "applied"

    page.get_by_role("link", name="Approve several").first.click()
    expect(page.get_by_role("button", name="Approve those chosen")).to_be_visible()
    expect(page.get_by_role("cell", name="64,000.00 USD").last).to_be_visible()
    picture(page, "console-approve-several")
    page.get_by_label(re.compile("0.25")).uncheck()
    page.get_by_role("button", name="Approve those chosen").click()
    expect(page.get_by_text("These are others than before.")).to_be_visible()
    assert Vote.objects.count() == 1
    page.get_by_role("button", name="Approve those chosen").click()
    expect(page.get_by_text("2 agreed to.")).to_be_visible()
    expect(page.get_by_text("Your vote counts; 1 more must agree.")).to_be_visible()
    picture(page, "console-approved-several")
    page.get_by_role("link", name="Close", exact=True).click()
    assert [row.state for row in Approval.objects.order_by("id")] == ["applied", "open", "applied", "open"]
