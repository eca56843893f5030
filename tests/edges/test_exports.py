"""Lists as CSV: exactly what the list shows as it is filtered, to those who may, written down, and safe to open."""

import csv
import io
import json

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from backoffice.admin.exporting import PERMISSION, Exported
from backoffice.csv_text import csv_lines
from backoffice.models import Access, Event
from compliance.models import Desk, Limit
from ledger.models import Adjustment, BankLine, Debt, Deposit, Fee, Payment, Transfer, Withdrawal
from tests import world
from tests.edges import staff
from tests.edges.test_truth_table import EVERYBODY, may, somebody
from tests.ledger import paying, transferring
from tests.ledger import payments as desk
from tests.ledger.test_claims import line

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
LISTS = {Withdrawal, Deposit, Payment, BankLine, Transfer, Adjustment, Debt, Fee, Limit}


def url(model, query=""):
    return reverse(staff.name(model, "export")) + query


def table(answer):
    """The rows of a file, each as its heads name them."""
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_lists_of_money_can_be_exported_and_say_above_them_so():
    assert {
        model for model, console in admin.site._registry.items() if isinstance(console, Exported)
    } == LISTS
    staff.everything()
    operator, auditor = staff.of_role("Payments operator"), staff.of_role("Auditor")
    for model in LISTS:
        page = reverse(staff.name(model, "changelist"))
        assert f'action="{url(model)}?"' in operator.get(page).content.decode(), model
        assert url(model) not in auditor.get(page).content.decode()
        rows = table(operator.post(url(model)))
        assert len(rows) == model.objects.count() > 0 and "None" not in rows[0].values(), model


@pytest.mark.parametrize("role", EVERYBODY)
def test_a_list_is_given_to_those_who_may_see_it_and_export_and_a_denial_moves_nothing(role):
    browser, wrong = staff.browser(somebody(role)), []
    before, given = staff.fingerprint(), 0
    for model in LISTS:
        allowed = may(role, PERMISSION) and may(
            role, f"{model._meta.app_label}.view_{model._meta.model_name}"
        )
        given += allowed
        status = browser.post(url(model)).status_code
        if status != (200 if allowed else 403) or browser.get(url(model)).status_code != 405:
            wrong.append((model, status))
    assert not wrong
    if not given:
        assert staff.fingerprint() == before
    assert Event.objects.filter(name="list.exported").count() == given


def test_what_is_filtered_and_searched_is_what_is_exported_in_words_and_without_the_database_s_zeros():
    client = paying.funded("1000.00")
    paying.nothing_is_odd()
    paying.policy(0)
    first = paying.withdrawal(client, "100.00")
    paying.policy(1)
    second = paying.withdrawal(client, "50.00")
    operator = staff.of_role("Payments operator")
    (row,) = table(operator.post(url(Withdrawal, "?queue=waiting")))
    assert row == {
        "Asked for": second.requested_at.isoformat(), "Reference": second.reference, "Client": "Amina Odhiambo",
        "To": "Amina Odhiambo", "Account": "DE…6199", "Method": "Bank transfer", "Amount": "50", "Fee": "0", "Currency": "EUR",
        "State": "Waits for approval", "Paid": "",
    }  # fmt: skip
    assert [one["Reference"] for one in table(operator.post(url(Withdrawal, f"?q={first.reference}")))] == [
        first.reference
    ]
    assert [one["Reference"] for one in table(operator.post(url(Withdrawal)))] == [
        second.reference,
        first.reference,
    ]
    answer = operator.post(url(Withdrawal))
    assert answer["Content-Disposition"] == f'attachment; filename="withdrawals-{timezone.localdate()}.csv"'


def test_that_a_list_was_taken_is_an_event_without_what_was_searched_for_and_stands_at_each_client():
    client, other = paying.funded("1000.00"), desk.client("Lucas", "Ferreira")
    paying.withdrawal(client, "50.00")
    transferring.code(other)
    user = world.staff("Payments approver")
    before = Event.objects.count()
    table(staff.browser(user).post(url(Withdrawal, "?q=Amina&by_state=")))
    event = Event.objects.get(name="list.exported")
    assert event.payload == {"list": "ledger.withdrawal", "rows": 1, "filters": ["q"]}
    assert (event.by_user, "Amina" in json.dumps(event.payload)) == (user, False)
    assert Event.objects.exclude(name="staff.logged_in").count() - before == 1
    seen = Access.objects.filter(what="export")
    assert [(one.client_id, one.subject, one.by_user) for one in seen] == [
        (client.uuid, "ledger.withdrawal", user)
    ]
    assert (
        "Downloaded a list: withdrawal"
        in staff.browser(staff.superuser()).get(staff.page(event)).content.decode()
    )


def test_formulas_that_clients_wrote_are_defused():
    line("75.00", side="CRDT", text='=HYPERLINK("http://x","y")')
    (row,) = table(staff.of_role("Payments operator").post(url(BankLine)))
    assert (
        row["Text"] == '\'=HYPERLINK("http://x","y")'
        and row["Amount"] == "75"
        and row["Direction"] == "Money in"
    )


def test_a_desk_takes_away_its_own_clients_rows_alone():
    client = paying.funded("1000.00")
    paying.withdrawal(client, "50.00")
    user = world.staff("Payments operator")
    Desk.objects.create(name="Elsewhere").staff.add(user)
    assert table(staff.browser(user).post(url(Withdrawal))) == []


def test_a_list_is_streamed_and_asks_the_same_however_long_it_is():
    client = paying.funded("5000.00")
    paying.nothing_is_odd()
    paying.policy(1)
    browser = staff.of_role("Payments operator")

    def asked():
        with CaptureQueriesContext(connection) as seen:
            answer = browser.post(url(Withdrawal))
            assert answer.streaming
            table(answer)
        return len(seen)

    paying.withdrawal(client, "10.00")
    asked()
    few = asked()
    for _ in range(4):
        paying.withdrawal(client, "10.00")
    assert asked() == few <= 22


def test_a_long_table_is_made_some_hundred_lines_at_a_time():
    taken = []

    def rows():
        for number in range(2000):
            taken.append(number)
            yield [number]

    parts = csv_lines(["a"], rows())
    first = next(parts)
    assert len(taken) < 1000 and first.startswith("a\r\n0\r\n")
    assert len((first + "".join(parts)).split()) == 2001
