"""How many questions of the database each money verb of the API asks, and each read: held to a budget.

Counted by `counting.questions`, the question who is asking among them. Reads ask 12 at most, however many rows there
are; what moves or holds money asks 20, and more only where a line below says why.
"""

import pytest

from compliance.models import MonitoringRule
from tests import world
from tests.counting import questions
from tests.edges import test_cards as by_card
from tests.edges import test_graphql_payments as deposits
from tests.edges import test_graphql_transfers as transfers
from tests.edges import test_graphql_withdrawals as withdrawals
from tests.edges.api import App
from tests.ledger import paying, transferring

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
EVERYTHING = "{ transactions(first: 100) { edges { node { type status words } } } }"


@pytest.fixture
def amina(settings):
    """A client with money, a way out and rates; each of her verbs was done once, so that nothing is opened anew."""
    settings.CONFIG = settings.CONFIG.model_copy(update={"exchange_rate_hours": 10**6})
    transferring.rate("EUR", "USD", "1.1000", at=world.NOW)
    transferring.spread(50)
    paying.route()
    found = transferring.funded("5000.00")
    transferring.exchanged(found, "1.00")
    transferring.sent(found, transferring.desk.client("Lucas", "Ferreira"), "1.00")
    return found


@pytest.fixture
def app(amina):
    found = App().log_in(amina.membership_set.get().user.email)
    found.data(deposits.CREATE, input=deposits.asked(key="first"))
    return found


def within(most, app, query, **given):
    with questions() as asked:
        answer = app.data(query, **given)
    assert len(asked) <= most, "\n".join(text[:120] for text in asked)
    assert "code" not in answer, answer
    return answer


def beneficiary(app):
    return app.data(withdrawals.ADD, input=withdrawals.given())["beneficiary"]["id"]


def ask(app, to, key="w", amount="100.00"):
    return {"input": {"beneficiary": to, "amount": amount, "key": key}}


def test_a_quote_and_its_exchange(app):
    quote = within(7, app, transfers.QUOTE, input=transfers.asked())["quote"]["id"]
    answer = within(17, app, transfers.TRANSFER, input={"quote": quote, "key": "one"})
    assert answer["transfer"]["state"] == "DONE"


def test_a_transfer_to_another_client_done_looked_at_and_blocked(app, amina):
    given = {
        "to": transferring.code(transferring.desk.client("Ben", "Okoro")),
        "currency": "EUR",
        "amount": "5.00",
    }
    app.data(transfers.TRANSFER, input={**given, "key": "opens-his-wallet"})
    assert within(18, app, transfers.TRANSFER, input={**given, "key": "one"})["transfer"]["state"] == "DONE"
    transferring.watched()
    assert (
        within(20, app, transfers.TRANSFER, input={**given, "key": "two"})["transfer"]["state"] == "WAITING"
    )
    transferring.watched("block", name="None", code="NONE", told="Not possible.")
    assert (
        within(17, app, transfers.TRANSFER, input={**given, "key": "three"})["transfer"]["state"] == "BLOCKED"
    )
    assert (
        within(5, app, transfers.TRANSFER, input={**given, "key": "three"})["transfer"]["state"] == "BLOCKED"
    )


def test_a_beneficiary_added_and_removed(app):
    to = within(6, app, withdrawals.ADD, input=withdrawals.given())["beneficiary"]["id"]
    within(5, app, withdrawals.REMOVE, id=to)


def test_a_withdrawal_that_waits_is_asked_for_again_and_called_off(app):
    to = beneficiary(app)
    answer = within(20, app, withdrawals.REQUEST, **ask(app, to))
    assert answer["withdrawal"]["state"] == "WAITING"
    assert within(4, app, withdrawals.REQUEST, **ask(app, to)) == answer
    within(12, app, withdrawals.CANCEL, id=answer["withdrawal"]["id"])


def test_a_withdrawal_that_is_blocked(app, amina):
    amina.kyc_level = 0
    amina.save()
    assert (
        within(18, app, withdrawals.REQUEST, **ask(app, beneficiary(app)))["withdrawal"]["state"] == "BLOCKED"
    )


def test_a_withdrawal_that_nobody_need_agree_to(app):
    """Asked for, then agreed to, then put into the open file: the withdrawal and its approval are written and moved, the
    route is asked for its account, the file is locked, and the payment is a row of its own. Where a file is begun, it is
    numbered under its bank account's lock."""
    to = beneficiary(app)
    MonitoringRule.objects.update(is_active=False)
    paying.policy(0)
    answer = within(29, app, withdrawals.REQUEST, **ask(app, to))
    assert answer["withdrawal"]["state"] == "APPROVED"
    answer = within(25, app, withdrawals.REQUEST, **ask(app, to, key="next"))
    within(13, app, withdrawals.CANCEL, id=answer["withdrawal"]["id"])


def test_a_deposit_by_bank_transfer_and_called_off(app):
    answer = within(12, app, deposits.CREATE, input=deposits.asked())
    within(5, app, deposits.CANCEL, id=answer["deposit"]["id"])


def test_a_deposit_by_card(shop):
    opening = world.client()
    app = App().log_in(opening.user.email)
    app.data(by_card.CREATE, input=by_card.asked(key="first"))
    answer = within(14, app, by_card.CREATE, input=by_card.asked())
    assert answer["deposit"]["state"] == "PROCESSING"


def test_a_deposit_of_coins(the_custodian):
    owner, app = deposits.client()
    deposits.known(owner)
    deposits.taken()
    given = deposits.asked(currency="BTC", amount="0.5", method="CRYPTO")
    within(16, app, deposits.COINS, input=given)  # the address is given, the wallet opened
    within(12, app, deposits.COINS, input={**given, "amount": "0.25", "key": "again"})


READS = {
    "withdrawals": (2, withdrawals.LIST),
    "beneficiaries": (2, withdrawals.BENEFICIARIES),
    "deposits": (3, deposits.LIST),
    "wallets": (2, deposits.WALLETS),
    "limits": (4, transfers.LIMITS),
    "transferCode": (3, transfers.CODE),
    "transactions": (10, EVERYTHING),
}


def test_reads_ask_the_same_however_many_rows_there_are(app, amina):
    def more(number):
        to = paying.beneficiary(amina, number=paying.IBANS[number])
        row = paying.withdrawal(amina, "10.00", to)
        paying.withdrawal(amina, "11.00", to)
        app.data(withdrawals.CANCEL, id=str(row.uuid))
        transferring.exchanged(amina, "2.00")
        transferring.sent(amina, transferring.desk.client("Ben", "Okoro"), "3.00")
        transferring.approve(transferring.adjustment(amina, "5.00"))
        transferring.adjustment(amina, "6.00")
        transferring.desk.complete(transferring.desk.deposit(amina, "7.00"), "7.00")
        app.data(deposits.CREATE, input=deposits.asked(key=f"k{number}"))

    def asked():
        found = {}
        for name, (_, query) in READS.items():
            with questions() as seen:
                answer = app.data(query)
            assert answer, name
            found[name] = len(seen)
        return found

    more(0)
    asked()  # what is kept for good is kept from here on
    few = asked()
    more(1)
    more(2)
    assert asked() == few
    assert not {name: many for name, many in few.items() if many > READS[name][0]}
