"""The approvals inbox as staff use it: what waits for whom, its effect before the act, several at once, turns."""

import hashlib
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from backoffice.models import Event
from backoffice.who import By
from compliance import approvals
from compliance.models import Approval, ApprovalPolicy, Client, Limit, MonitoringRule, Vote
from tests import world
from tests.compliance import notes
from tests.edges import staff
from tests.edges.staff import fingerprint

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
LIST = reverse("admin:compliance_approval_changelist")


def url(name, row=None):
    return reverse(f"admin:compliance_approval_{name}", args=[row.pk] if row is not None else [])


def asked(**given):
    return notes.asked(at=timezone.now(), **given)


def hidden(text, name):
    return re.search(rf'name="{name}" value="([^"]*)"', text)[1]


def listed(browser, queue=""):
    text = browser.get(LIST, {"queue": queue} if queue else {}).content.decode()
    return {
        row.pk
        for row in Approval.objects.all()
        if f'href="{staff.page(row)}' in text or f"/{row.pk}/change/" in text
    }


def approve(browser, row, **given):
    dialog = browser.get(url("approve_this", row)).content.decode()
    data = {
        "key": hidden(dialog, "key"),
        "content_hash": hidden(dialog, "content_hash"),
        "reason": "",
        **given,
    }
    return browser.post(url("approve_this", row), data, follow=True)


def test_an_approval_is_given_after_its_effect_was_shown_and_the_next_are_at_hand():
    row = asked()
    user = world.staff("Payments approver")
    browser = staff.browser(user)
    dialog = browser.get(url("approve_this", row)).content.decode()
    assert "low → high" in dialog and f"Approve 100.00 USD: {row.title}" in dialog
    assert Vote.objects.count() == 0
    answer = approve(browser, row)
    assert answer.redirect_chain == [(f"{LIST}?queue=unassigned", 302)]
    assert "Agreed to, and done." in answer.content.decode()
    row.refresh_from_db()
    assert row.state == "applied"
    page = browser.get(staff.page(row)).content.decode()
    assert "Agreed to, and done." in page and "1 of 1" in page and str(user) in page


def test_the_same_dialog_twice_acts_once():
    notes.policy(approvers=2)
    row, browser = asked(), staff.of_role("Compliance officer")
    dialog = browser.get(url("approve_this", row)).content.decode()
    data = {"key": hidden(dialog, "key"), "content_hash": hidden(dialog, "content_hash")}
    for _ in range(2):
        assert (
            "1 more must agree" in browser.post(url("approve_this", row), data, follow=True).content.decode()
        )
    assert Vote.objects.count() == 1


def test_who_asked_is_offered_no_button_and_a_post_is_refused_in_place():
    user = world.staff(is_superuser=True)
    row, browser = asked(by=By.user(user)), staff.browser(user)
    before = fingerprint()
    for name in ("approve_this", "reject_this", "take_this"):
        assert "OWN_REQUEST" in browser.get(url(name, row)).content.decode()
        data = {"key": world.key(), "content_hash": row.content_hash, "reason": "My own request."}
        answer = browser.post(url(name, row), data).content.decode()
        assert "OWN_REQUEST" in answer and "Nothing was changed." in answer
    assert fingerprint() == before
    assert listed(browser, "unassigned") == set()


def test_what_changed_since_it_was_shown_cannot_be_agreed_to_and_the_page_says_so():
    row, browser = asked(), staff.of_role("Compliance officer")
    dialog = browser.get(url("approve_this", row)).content.decode()
    Client.objects.filter(uuid=row.subject_id).update(country="KE")
    before = fingerprint()
    data = {"key": hidden(dialog, "key"), "content_hash": hidden(dialog, "content_hash")}
    assert "CONTENT_CHANGED" in browser.post(url("approve_this", row), data).content.decode()
    assert fingerprint() == before
    assert "has changed since" in browser.get(staff.page(row)).content.decode()


def test_rejecting_needs_a_reason_and_keeps_it():
    row, browser = asked(), staff.of_role("Compliance officer")
    data = {"key": world.key(), "reason": "no"}
    assert browser.post(url("reject_this", row), data).status_code == 200
    assert Approval.objects.get().state == "open"
    browser.post(url("reject_this", row), {**data, "reason": "The beneficiary is somebody else."})
    row.refresh_from_db()
    assert (row.state, row.message) == ("rejected", "The beneficiary is somebody else.")


def test_the_list_says_who_what_how_much_what_to_know_how_many_agreed_and_what_next():
    notes.policy(approvers=2, role=Group.objects.get(name="Compliance officer"))
    row = asked(amount=Decimal("1250.00"))
    approvals.approve(
        row, content_hash=row.content_hash, by=By.user(world.staff("Compliance officer")), at=timezone.now(), key="k"
    )  # fmt: skip
    text = staff.of_role("Auditor").get(LIST).content.decode()
    for shown in ("Note", str(row.client), row.title, "1,250.00", "new client", "KYC level 0", "1 of 2",
                  "1 more of the role Compliance officer must agree"):  # fmt: skip
        assert shown in text, shown


def test_the_tabs_are_mine_unassigned_overdue_and_all():
    first, second = asked(), asked()
    late = notes.asked(at=timezone.now() - timedelta(hours=5))
    user, other = world.staff("Compliance officer"), world.staff("Compliance officer")
    own = asked(by=By.user(user))
    browser = staff.browser(user)
    approvals.take(first, by=By.user(user), at=timezone.now())
    approvals.take(second, by=By.user(other), at=timezone.now())
    assert listed(browser, "mine") == {first.pk}
    assert listed(browser, "unassigned") == {late.pk}
    assert listed(browser, "overdue") == {late.pk}
    assert listed(browser) == {first.pk, second.pk, late.pk, own.pk}
    assert f"In hand with {user}" in browser.get(LIST, {"queue": "mine"}).content.decode()


def test_take_next_opens_the_oldest_and_says_when_nothing_waits():
    browser = staff.of_role("Compliance officer")
    nothing = browser.post(url("take_next_one"), {"key": world.key()}).content.decode()
    assert "Nothing waits for you." in nothing
    first, _second = asked(), asked()
    answer = browser.post(url("take_next_one"), {"key": world.key()}, follow=True)
    assert answer.redirect_chain == [(staff.page(first), 302)]
    assert (
        staff.of_role("Compliance officer")
        .get(url("approve_this", first))
        .content.decode()
        .count("TAKEN_BY_SOMEBODY")
    )
    browser.post(url("let_this_go", first), {"key": world.key()})
    first.refresh_from_db()
    assert first.taken_by is None


def test_what_waits_for_the_reader_is_counted_on_home_and_in_the_sidebar():
    asked(), asked()
    home = reverse("admin:index")
    text = staff.of_role("Compliance officer").get(home).content.decode()
    assert "Asked for by others, for you to decide" in text and f"{LIST}?queue=unassigned" in text
    assert "Asked for by others" not in staff.of_role("Affiliate manager").get(home).content.decode()


# ── several ─────────────────────────────────────────────────────────────────────────────────────────────────────


def several(browser):
    return browser.get(url("approve_several")).content.decode()


def values(text):
    return re.findall(r'name="chosen" value="([^"]+)"', text)


def test_several_are_agreed_to_after_count_and_total_per_currency_each_for_itself():
    rows = [asked(amount=Decimal(amount), currency=code) for amount, code in
            (("100.00", "USD"), ("50.25", "USD"), ("0.5", "BTC"))]  # fmt: skip
    refused = asked(client=world.client(last_name="Refused").client)
    gone = asked()
    browser = staff.of_role("Compliance officer")
    dialog = several(browser)
    assert "5 wait for you" in dialog and len(values(dialog)) == 5
    assert "350.25" in dialog and "0.50000000" in dialog
    approvals.reject(
        gone, reason="Meanwhile.", by=By.user(world.staff("Compliance officer")), at=timezone.now(), key="k"
    )
    data = {
        "key": hidden(dialog, "key"),
        "seen": hidden(dialog, "seen"),
        "chosen": values(dialog),
        "reason": "",
    }
    answer = browser.post(url("approve_several"), data).content.decode()
    assert "4 agreed to. 1 refused; those are as they were." in answer
    assert (
        answer.count("Agreed to, and done.") == 3
        and "could not be done: Not with that name. (NOT_NOW)" in answer
    )
    assert "<code>APPROVAL_OVER</code>" in answer
    assert {row.state for row in Approval.objects.filter(pk__in=[one.pk for one in rows])} == {"applied"}
    assert Approval.objects.get(pk=refused.pk).state == "failed"
    assert Event.objects.filter(name="note.applied").count() == 3
    browser.post(url("approve_several"), data)  # the same dialog twice
    assert (
        Vote.objects.filter(verdict="approve").count(),
        Event.objects.filter(name="note.applied").count(),
    ) == (4, 3)


def test_others_than_those_totalled_are_shown_with_their_total_before_anything_is_done():
    asked(amount=Decimal("100.00")), asked(amount=Decimal("7.00"))
    browser = staff.of_role("Compliance officer")
    dialog = several(browser)
    assert "107.00" in dialog
    data = {
        "key": hidden(dialog, "key"),
        "seen": hidden(dialog, "seen"),
        "chosen": values(dialog)[1:],
        "reason": "",
    }
    before = fingerprint()
    again = browser.post(url("approve_several"), data).content.decode()
    assert fingerprint() == before
    assert "These are others than before." in again and "107.00" not in again and "7.00" in again
    answer = browser.post(url("approve_several"), {**data, "seen": hidden(again, "seen")}).content.decode()
    assert "1 agreed to." in answer
    assert Approval.objects.filter(state="applied").count() == 1


def test_nonsense_in_the_dialog_for_several_changes_nothing():
    row = asked()
    browser = staff.of_role("Compliance officer")
    before = fingerprint()
    for chosen in ("x", f"{row.uuid}", f"{row.uuid}:short", "1:2:3", "-" * 36 + ":" + "0" * 64):
        for seen in ("x", hashlib.sha256(chosen.encode()).hexdigest()):
            data = {"key": world.key(), "seen": seen, "chosen": [chosen]}
            assert browser.post(url("approve_several"), data).status_code == 200, chosen
    assert fingerprint() == before


# ── the rest ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_inbox_asks_the_same_however_long_it_is():
    browser = staff.of_role("Compliance officer")
    asked()
    browser.get(LIST)
    with CaptureQueriesContext(connection) as few:
        browser.get(LIST)
    for _ in range(20):
        asked()
    with CaptureQueriesContext(connection) as many:
        browser.get(LIST)
    assert len(few) == len(many) <= 12


def test_a_policy_is_changed_only_by_whoever_proves_themselves_and_says_why():
    policy = notes.policy(approvers=2)
    edit = staff.page(policy, "edit")
    user = world.staff("Compliance officer")
    data = {
        "approvers": "0",
        "role": "",
        "hours": "72",
        "is_active": "on",
        "change_reason": "Small ones go through.",
    }
    staff.browser(user).post(edit, data)
    policy.refresh_from_db()
    assert policy.approvers == 2
    assert staff.browser(user, elevated=True).post(edit, {**data, "change_reason": ""}).status_code == 200
    policy.refresh_from_db()
    assert policy.approvers == 2
    assert staff.browser(user, elevated=True).post(edit, data).status_code == 302
    policy.refresh_from_db()
    assert (policy.approvers, policy.history.latest().history_change_reason) == (0, "Small ones go through.")
    assert staff.browser(world.staff("KYC officer"), elevated=True).get(edit).status_code == 403


def test_policies_limits_and_rules_are_added_and_changed_without_a_deployment():
    browser = staff.browser(world.staff("Administrator"), elevated=True)
    for model, data in (
        (ApprovalPolicy, {"kind": notes.NAME, "currency": "USD", "from_amount": "1000", "approvers": "2", "role": "", "hours": "24", "is_active": "on"}),
        (Limit, {"kind": "transfer", "kyc_level": "3", "currency": "KES", "window": "24", "amount": "100000", "is_active": "on"}),
        (MonitoringRule, {"code": "VERY_LARGE", "name": "Very large", "kind": "", "condition": "amount", "threshold": "900000",
                          "currency": "USD", "outcome": "block", "told": "Please call us.", "is_active": "on"}),
    ):  # fmt: skip
        before = model.objects.count()
        answer = browser.post(reverse(staff.name(model, "add")), data)
        assert (answer.status_code, model.objects.count()) == (302, before + 1), answer.content.decode()
    asked(amount=Decimal("1000.00"))
    assert Approval.objects.get().needed == 2
    wrong = {"kind": "no.such", "from_amount": "0", "approvers": "1", "hours": "24"}
    for changed in (
        {},
        {"kind": notes.NAME, "approvers": "6"},
        {"kind": notes.NAME, "from_amount": "-1"},
        {"kind": notes.NAME, "hours": "0"},
    ):
        assert (
            browser.post(reverse(staff.name(ApprovalPolicy, "add")), {**wrong, **changed}).status_code == 200
        ), changed
    assert ApprovalPolicy.objects.count() == 1


def test_a_client_limit_is_set_from_the_client_s_page_and_ended_from_its_own():
    client, browser = world.client().client, staff.of_role("Compliance officer")
    page = reverse("admin:compliance_client_set_client_limit", args=[client.pk])
    data = {"key": world.key(), "kind": "withdrawal", "currency": "USD", "window": "24", "amount": "5000", "days": "3",
            "reason": "Sold a house; papers seen."}  # fmt: skip
    for _ in range(2):
        assert "at most 5,000.00 USD" in browser.post(page, data, follow=True).content.decode()
    own = client.limit_overrides.get()
    assert (own.amount, own.reason) == (5000, "Sold a house; papers seen.")
    assert (
        "Their own"
        in browser.get(staff.page(client), {"tab": _tab(browser, client, "Limits")}).content.decode()
    )
    end = reverse("admin:compliance_limitoverride_end_client_limit", args=[own.pk])
    browser.post(end, {"key": world.key(), "reason": "No longer needed."})
    own.refresh_from_db()
    assert own.expires_at <= timezone.now()
    assert "OVERRIDE_OVER" in browser.get(end).content.decode()


def _tab(browser, client, title):
    titles = re.findall(r'role="tab" .*?>([^<]+)</button>', browser.get(staff.page(client)).content.decode())
    return titles.index(title)
