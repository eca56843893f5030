"""Quotes, transfers and limits over the API, and nobody else's."""

import pytest

from tests import world
from tests.edges.api import PROBLEM, App
from tests.edges.staff import fingerprint
from tests.ledger import transferring as desk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
MONEY = "{ amount currency }"
QUOTE = f"mutation($input: QuoteTransferInput!) {{ quoteTransfer(input: $input) {{ ... on QuoteAnswer {{ quote {{ id given {MONEY} got {MONEY} spread {MONEY} rate midRate validUntil }} }} {PROBLEM} }} }}"
TRANSFER = f"mutation($input: TransferInput!) {{ transfer(input: $input) {{ ... on TransferAnswer {{ transfer {{ id reference state told given {MONEY} got {MONEY} }} wallets {{ currency posted {MONEY} held {MONEY} available {MONEY} }} }} {PROBLEM} }} }}"
CODE = "{ transferCode }"
LIMITS = f"{{ limits {{ kind window allowed {MONEY} used {MONEY} left {MONEY} }} }}"


@pytest.fixture
def amina():
    desk.rate("EUR", "USD", "1.1000", at=world.NOW)
    desk.spread(50)
    return desk.funded("1000.00")


@pytest.fixture(autouse=True)
def a_rate_of_any_age(settings):
    settings.CONFIG = settings.CONFIG.model_copy(update={"exchange_rate_hours": 10**6})


def app_of(client):
    return App().log_in(client.membership_set.get().user.email)


def asked(**given):
    return {"fromCurrency": "EUR", "toCurrency": "USD", "amount": "100.00", **given}


def test_a_client_is_quoted_and_exchanges_and_sees_both_wallets_after_it(amina):
    app = app_of(amina)
    quote = app.data(QUOTE, input=asked())["quote"]
    assert (quote["got"]["amount"], quote["spread"]["amount"], quote["rate"], quote["midRate"]) == (
        "109.45",
        "0.55",
        "1.0945",
        "1.1",
    )
    answer = app.data(TRANSFER, input={"quote": quote["id"], "key": "one"})
    assert answer["transfer"]["state"] == "DONE"
    assert {wallet["currency"]: wallet["available"]["amount"] for wallet in answer["wallets"]} == {
        "EUR": "900.00",
        "USD": "109.45",
    }
    assert app.data(TRANSFER, input={"quote": quote["id"], "key": "one"})["transfer"] == answer["transfer"]
    assert app.data(TRANSFER, input={"quote": quote["id"], "key": "two"})["code"] == "QUOTE_USED"


def test_a_client_sends_money_by_a_code_and_sees_nothing_of_the_other_s_wallet(amina):
    lucas = desk.desk.client("Lucas", "Ferreira")
    code = app_of(lucas).data(CODE)
    answer = app_of(amina).data(
        TRANSFER, input={"to": code, "currency": "EUR", "amount": "25.00", "key": "one"}
    )
    assert [(wallet["currency"], wallet["posted"]["amount"]) for wallet in answer["wallets"]] == [
        ("EUR", "975.00")
    ]
    assert desk.in_wallet(lucas) == 25
    assert "Lucas" not in str(answer) and str(lucas.uuid) not in str(answer)


def test_what_waits_shows_the_money_as_held_and_what_is_blocked_says_what_may_be_said(amina):
    desk.watched()
    lucas = desk.desk.client("Lucas", "Ferreira")
    app, code = app_of(amina), desk.code(lucas)
    answer = app.data(TRANSFER, input={"to": code, "currency": "EUR", "amount": "25.00", "key": "one"})
    assert (answer["transfer"]["state"], answer["wallets"][0]["held"]["amount"]) == ("WAITING", "25.00")
    assert answer["transfer"]["told"] == "We are looking at this request."
    desk.watched("block", name="None", code="NONE", told="Not possible.")
    answer = app.data(TRANSFER, input={"to": code, "currency": "EUR", "amount": "5.00", "key": "two"})
    assert (answer["transfer"]["state"], answer["transfer"]["told"]) == ("BLOCKED", "Not possible.")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"key": "k"}, "INVALID_INPUT"),
        ({"key": "k", "to": "x", "currency": "EUR"}, "INVALID_INPUT"),
        (
            {
                "key": "k",
                "to": "x",
                "currency": "EUR",
                "amount": "1",
                "quote": "0190a0a0-0000-7000-8000-000000000000",
            },
            "INVALID_INPUT",
        ),
        ({"key": "k", "quote": "0190a0a0-0000-7000-8000-000000000000"}, "NOT_FOUND"),
        ({"key": "k", "to": "NX-2222-2222", "currency": "EUR", "amount": "1"}, "RECIPIENT_UNKNOWN"),
        ({"key": "k", "to": "lucas@example.com", "currency": "EUR", "amount": "1"}, "RECIPIENT_UNKNOWN"),
    ],
)
def test_what_is_refused_says_why_and_leaves_nothing(amina, given, code):
    app = app_of(amina)
    before = fingerprint()
    assert app.data(TRANSFER, input=given)["code"] == code
    assert fingerprint() == before


def test_another_client_s_quote_is_nobody_s(amina):
    lucas = desk.desk.client("Lucas", "Ferreira")
    quote = desk.quote(lucas)
    assert app_of(amina).data(TRANSFER, input={"quote": str(quote.uuid), "key": "k"})["code"] == "NOT_FOUND"


def test_who_only_looks_moves_nothing(amina):
    amina.membership_set.update(role="viewer")
    app = app_of(amina)
    for query, given in (
        (QUOTE, asked()),
        (TRANSFER, {"key": "k", "to": "x", "currency": "EUR", "amount": "1"}),
    ):
        assert app.data(query, input=given)["code"] == "NOT_ALLOWED"


def test_codes_cannot_be_guessed_at(amina, settings):
    settings.CONFIG = settings.CONFIG.model_copy(update={"rate_limits": "transfer=2/600"})
    app = app_of(amina)
    tries = [
        app.data(TRANSFER, input={"to": f"NX-2222-222{n}", "currency": "EUR", "amount": "1", "key": "k"})[
            "code"
        ]
        for n in range(2, 5)
    ]
    assert tries == ["RECIPIENT_UNKNOWN", "RECIPIENT_UNKNOWN", "TOO_MANY_REQUESTS"]


def test_limits_say_what_is_used_and_left(amina):
    desk.exchanged(amina, "400.00")
    found = {
        (row["kind"], row["window"], row["allowed"]["currency"]): row for row in app_of(amina).data(LIMITS)
    }
    row = found["TRANSFER", "DAY", "EUR"]
    assert row["allowed"]["amount"] == "20000.00"
    assert {kind for kind, *_ in found} == {"DEPOSIT", "WITHDRAWAL", "TRANSFER"}
