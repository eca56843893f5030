"""Beneficiaries and withdrawals over the API: added, asked for, called off, listed; and nobody else's."""

import pytest

from compliance.models import Membership
from ledger.models import Withdrawal
from tests import world
from tests.edges.api import PROBLEM, App
from tests.edges.staff import fingerprint
from tests.ledger import paying

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
MONEY = "{ amount currency }"
TO = "... on BeneficiaryAnswer { beneficiary { id method currency holder hint bank usableAt isRemoved } }"
ADD = f"mutation($input: BeneficiaryInput!) {{ addBeneficiary(input: $input) {{ {TO} {PROBLEM} }} }}"
REMOVE = f"mutation($id: ID!) {{ removeBeneficiary(id: $id) {{ {TO} {PROBLEM} }} }}"
ANSWER = (
    f"... on WithdrawalAnswer {{ withdrawal {{ id state isFinal why amount {MONEY} fee {MONEY} beneficiary {{ hint }} }} "
    f"wallet {{ posted {MONEY} held {MONEY} available {MONEY} }} }} {PROBLEM}"
)
REQUEST = f"mutation($input: WithdrawalInput!) {{ requestWithdrawal(input: $input) {{ {ANSWER} }} }}"
CANCEL = f"mutation($id: ID!) {{ cancelWithdrawal(id: $id) {{ {ANSWER} }} }}"
LIST = (
    "query($filter: WithdrawalFilter, $first: Int, $after: String) { withdrawals(filter: $filter, first: $first, "
    "after: $after) { edges { node { id state } } pageInfo { hasNextPage endCursor } } }"
)
BENEFICIARIES = "{ beneficiaries { edges { node { id hint } } } }"
TRANSACTIONS = f"{{ transactions {{ edges {{ node {{ type status words amount {MONEY} reference }} }} }} }}"


@pytest.fixture
def amina():
    paying.route()
    client = paying.funded("1000.00")
    return client, App().log_in(Membership.objects.get(client=client).user.email)


def given(**values):
    return {"currency": "EUR", "holder": "Amina Odhiambo", "number": paying.IBANS[0], "key": "k", **values}


def asked(app, amount="100.00", key="w", to=None):
    to = to or app.data(ADD, input=given())["beneficiary"]["id"]
    return app.data(REQUEST, input={"beneficiary": to, "amount": amount, "key": key})


def test_a_client_says_to_whom_and_asks_for_their_money(amina):
    _, app = amina
    added = app.data(ADD, input=given())["beneficiary"]
    assert (added["method"], added["hint"], added["isRemoved"]) == ("BANK", "DE…6199", False)
    assert app.data(ADD, input=given())["beneficiary"]["id"] == added["id"]
    answer = asked(app)
    assert (answer["withdrawal"]["state"], answer["withdrawal"]["isFinal"]) == ("WAITING", False)
    assert answer["wallet"] == {
        "posted": {"amount": "1000.00", "currency": "EUR"}, "held": {"amount": "100.00", "currency": "EUR"},
        "available": {"amount": "900.00", "currency": "EUR"},
    }  # fmt: skip
    assert asked(app)["withdrawal"]["id"] == answer["withdrawal"]["id"]
    assert Withdrawal.objects.count() == 1
    answer = app.data(CANCEL, id=answer["withdrawal"]["id"])
    assert (answer["withdrawal"]["state"], answer["wallet"]["held"]["amount"]) == ("CANCELLED", "0.00")


def test_what_compliance_stops_is_stored_and_says_what_the_client_can_do(amina):
    client, app = amina
    client.kyc_level = 0
    client.save()
    answer = asked(app)
    assert (answer["withdrawal"]["state"], answer["withdrawal"]["why"]) == (
        "BLOCKED", "Confirm your identity first; then you can withdraw.",
    )  # fmt: skip
    assert answer["wallet"]["held"]["amount"] == "100.00"


def test_a_removed_beneficiary_is_neither_listed_nor_paid(amina):
    _, app = amina
    to = app.data(ADD, input=given())["beneficiary"]["id"]
    assert [edge["node"]["id"] for edge in app.data(BENEFICIARIES)["edges"]] == [to]
    assert app.data(REMOVE, id=to)["beneficiary"]["isRemoved"] is True
    assert app.data(BENEFICIARIES)["edges"] == []
    assert asked(app, to=to)["code"] == "BENEFICIARY_REMOVED"


def test_withdrawals_are_listed_filtered_and_stand_in_the_history(amina):
    _, app = amina
    ids = [asked(app, amount="10.00", key=f"w{n}")["withdrawal"]["id"] for n in range(3)]
    app.data(CANCEL, id=ids[0])
    page = app.data(LIST, first=2)
    assert [edge["node"]["id"] for edge in page["edges"]] == ids[:0:-1] and page["pageInfo"]["hasNextPage"]
    for filter, found in (({"state": ["CANCELLED"]}, 1), ({"currency": "USD"}, 0), ({"requestedBefore": "2020-01-01T00:00:00Z"}, 0),
                          ({"requestedFrom": "2020-01-01T00:00:00Z"}, 3)):  # fmt: skip
        assert len(app.data(LIST, filter=filter)["edges"]) == found, filter
    lines = [edge["node"] for edge in app.data(TRANSACTIONS)["edges"]]
    assert [(line["type"], line["status"], line["amount"]["amount"]) for line in lines] == [
        ("WITHDRAWAL", "PENDING", "-10.00"), ("WITHDRAWAL", "PENDING", "-10.00"), ("WITHDRAWAL", "CANCELLED", "-10.00"),
        ("DEPOSIT", "COMPLETED", "1000.00"),
    ]  # fmt: skip


def test_refusals_name_their_field_and_leave_nothing(amina):
    _, app = amina
    to = app.data(ADD, input=given())["beneficiary"]["id"]
    other = paying.beneficiary(paying.funded("10.00", first_name="Ben"))
    nobody = "0190a0a0-0000-7000-8000-000000000000"
    before = fingerprint()
    for values, code, field in (
        (given(number="DE75512108001245126198", key="n1"), "INVALID_INPUT", "number"),
        (given(number="1", key="n2"), "INVALID_INPUT", "number"),
        (given(bic="XX", key="n3"), "INVALID_INPUT", "bic"),
        (given(holder="A", key="n4"), "INVALID_INPUT", "holder"),
        (given(currency="XXX", key="n5"), "WITHDRAWAL_NOT_OFFERED", "currency"),
        (given(key="n6"), "BENEFICIARY_KNOWN", "number"),
        (given(holder="Somebody Else"), "KEY_REUSED", "key"),
        (given(client=nobody, key="n7"), "NOT_FOUND", "client"),
    ):
        refused = app.data(ADD, input=values)
        assert (refused["code"], refused["field"]) == (code, field), values
    for target, amount, code, field in (
        (to, "1000.01", "INSUFFICIENT_FUNDS", "amount"),
        (to, "1.001", "INVALID_AMOUNT", "amount"),
        (to, "0", "INVALID_INPUT", "amount"),
        (to, "-5", "INVALID_INPUT", "amount"),
        (to, "4.99", "TOO_SMALL", "amount"),
        (str(other.uuid), "10.00", "NOT_FOUND", "beneficiary"),
        (nobody, "10.00", "NOT_FOUND", "beneficiary"),
    ):
        refused = app.data(REQUEST, input={"beneficiary": target, "amount": amount, "key": "r"})
        assert (refused["code"], refused["field"]) == (code, field), (target, amount)
    assert fingerprint() == before


def test_whoever_only_trades_for_a_client_does_not_say_to_whom_their_money_goes(amina):
    client, app = amina
    to = app.data(ADD, input=given())["beneficiary"]["id"]
    kept = asked(app, to=to)["withdrawal"]["id"]
    Membership.objects.filter(client=client).update(role=Membership.Role.TRADER)
    before = fingerprint()
    for refused in (
        app.data(ADD, input=given(key="n")), app.data(REMOVE, id=to), asked(app, key="w2", to=to),
    ):  # fmt: skip
        assert refused["code"] == "NOT_ALLOWED"
    assert fingerprint() == before
    assert app.data(CANCEL, id=kept)["withdrawal"]["state"] == "CANCELLED"


def test_each_of_those_who_act_for_a_client_has_their_own_role_and_sees_each_row_once(amina):
    client, owner = amina
    kept = asked(owner)["withdrawal"]["id"]
    to = owner.data(BENEFICIARIES)["edges"][0]["node"]["id"]
    others = {}
    for role in (Membership.Role.TRADER, Membership.Role.VIEWER):
        opening = world.client(first_name=role.label)
        Membership.objects.create(client=client, user=opening.user, role=role)
        others[role] = App().log_in(opening.user.email)
    viewer, trader = others[Membership.Role.VIEWER], others[Membership.Role.TRADER]
    for app in (owner, trader, viewer):
        assert [edge["node"]["id"] for edge in app.data(LIST)["edges"]] == [kept]
    before = fingerprint()
    for refused in (
        viewer.data(CANCEL, id=kept),
        viewer.data(REMOVE, id=to),
        trader.data(REMOVE, id=to),
        asked(trader, to=to),
    ):
        assert refused["code"] == "NOT_ALLOWED"
    assert fingerprint() == before
    assert trader.data(CANCEL, id=kept)["withdrawal"]["state"] == "CANCELLED"
    assert owner.data(REMOVE, id=to)["beneficiary"]["isRemoved"] is True


@pytest.mark.parametrize("document", [LIST, BENEFICIARIES])
def test_a_list_costs_two_queries_however_long_it_is(amina, document, django_assert_num_queries):
    _, app = amina
    for n in range(3):
        asked(app, amount="10.00", key=f"w{n}")
    app.data(document)
    with django_assert_num_queries(2):
        app.data(document)
