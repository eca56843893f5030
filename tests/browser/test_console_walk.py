"""The console in a real browser: a person decides which contract a lost purchase was, and replays a dead letter."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.utils import timezone
from dramatiq import Message, MessageProxy

from brokerage.models import Difference, StatementProof, Trade, TradingAccount
from jobs import dead_letters
from jobs.models import FailedJob
from tests import world
from tests.browser.conftest import picture
from tests.running import LiveApp, until

pytestmark = [pytest.mark.processes, pytest.mark.browser]
REASON = "The client confirmed it by phone."


def log_in(page, deployment, role="Dealing desk"):
    user = world.staff(role)
    # The tests' own quick hash is none that a deployment accepts.
    user.password = PBKDF2PasswordHasher().encode(world.PASSWORD, "a-salt-of-this-test")
    user.save()
    page.goto(f"{deployment.url}/admin/")
    page.get_by_label(re.compile("mail", re.IGNORECASE)).fill(user.email)
    page.get_by_label(re.compile("password", re.IGNORECASE)).fill(world.PASSWORD)
    page.get_by_role("button", name=re.compile("log in", re.IGNORECASE)).click()
    page.wait_for_url(f"{deployment.url}/admin/")


def lost_among_two(deployment):
    """A trade whose answer was lost, and at the venue a second contract that looks the same."""
    app = LiveApp(deployment).sign_up()
    login_id = app.wait_for_account()["loginId"]
    deployment.fault("lose_answer", call="buy", login_id=login_id)
    placed = app.place(symbol="R_100", side="CALL", stake="10.00", duration=5)
    until(lambda: deployment.books(login_id)["contracts"], "the venue has sold the contract")
    twin = {"kind": "buy", "contract_type": "CALL", "symbol": "R_100", "stake": "10.00", "duration": 5,
            "duration_unit": "t", "app_id": settings.CONFIG.deriv_app_id}  # fmt: skip
    deployment.control(f"accounts/{login_id}/activity", twin)
    until(lambda: Difference.objects.filter(trade__uuid=placed["id"]).exists(), "a person is asked", 40)
    return app, Trade.objects.get(uuid=placed["id"])


def test_a_person_says_which_contract_a_lost_purchase_was(page, deployment):
    from playwright.sync_api import expect

    app, trade = lost_among_two(deployment)
    bought = deployment.books(trade.account.login_id)["contracts"][0]["contract_id"]
    log_in(page, deployment)
    picture(page, "console-home")
    page.get_by_role("link", name=re.compile("Differences with the venue")).first.click()
    page.get_by_role("link", name="Several contracts fit").first.click()
    expect(page.get_by_text("Nothing moves until somebody decides.").first).to_be_visible()
    expect(page.get_by_text(str(bought)).first).to_be_visible()
    picture(page, "console-two-candidates")
    page.get_by_role("link", name="Adopt a contract").click()
    page.get_by_label(re.compile(str(bought))).check()
    page.get_by_label("Reason").fill(REASON)
    picture(page, "console-adopt-dialog")
    page.get_by_role("button", name="Adopt the contract").click()
    expect(page.get_by_text(f"Contract {bought} is the trade's now.")).to_be_visible()
    expect(page.get_by_text(f"“{REASON}”").first).to_be_visible()
    picture(page, "console-adopted")
    assert app.wait_final(str(trade.uuid))["state"] in ("WON", "LOST")
    trade.refresh_from_db()
    assert trade.contract_id == bought


def test_a_dead_letter_is_replayed_and_runs(page, deployment):
    from playwright.sync_api import expect

    app = LiveApp(deployment).sign_up()
    account = TradingAccount.objects.get(login_id=app.wait_for_account()["loginId"])
    message = MessageProxy(Message("trading", "trading.prove", (account.pk,), {}, {}))
    FailedJob.objects.create(
        queue="trading", actor="trading.prove", message_id=message.message_id, message=dead_letters.kept(message),
        arguments={"account_id": account.pk}, error="ConnectionLost: the venue went away", retries=8,
        failed_at=timezone.now() - timedelta(days=3),
    )  # fmt: skip
    log_in(page, deployment)
    page.get_by_role("link", name=re.compile("^Stuck")).first.click()
    expect(page.get_by_text("somebody sends it again or discards it").first).to_be_visible()
    picture(page, "console-stuck")
    page.get_by_role("link", name="trading.prove").first.click()
    expect(page.get_by_text("ConnectionLost: the venue went away").first).to_be_visible()
    picture(page, "console-dead-letter")
    page.get_by_role("link", name="Replay").click()
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Send it again").click()
    expect(page.get_by_text("It is being sent again.")).to_be_visible()
    expect(page.get_by_text(f"“{REASON}”").first).to_be_visible()
    picture(page, "console-replayed")
    until(lambda: StatementProof.objects.filter(account=account).exists(), "the job ran", 30)
    assert StatementProof.objects.get(account=account).result == "equal"
