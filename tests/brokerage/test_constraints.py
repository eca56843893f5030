"""What must never be false is in the database: each constraint of clients, accounts, instruments and trades, by raw SQL."""

import pytest
from django.db import IntegrityError, connection, transaction

from tests import world

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]

REFUSED = {
    "a currency with 19 decimals": "UPDATE backoffice_currency SET exponent = 19 WHERE code = 'USD'",
    "a currency code in lower case": "INSERT INTO backoffice_currency (code, name, kind, exponent, is_active) VALUES ('usd', 'x', 'fiat', 2, true)",
    "a client's user as superuser": "UPDATE backoffice_user SET is_superuser = true WHERE kind = 'client'",
    "an e-mail twice, in another case": "UPDATE backoffice_user SET email = 'SECOND@example.com' WHERE email = 'first@example.com'",
    "a session that ended for no reason": "UPDATE backoffice_session SET ended_at = now()",
    "a client's markup above 3 %": "UPDATE compliance_client SET markup_rate = 0.0301",
    "a client's markup below zero": "UPDATE compliance_client SET markup_rate = -0.01",
    "a country of three letters": "UPDATE compliance_client SET country = 'K1'",
    "a membership twice": "INSERT INTO compliance_membership (client_id, user_id, role) SELECT client_id, user_id, 'viewer' FROM compliance_membership LIMIT 1",
    "an account's markup above 3 %": "UPDATE brokerage_tradingaccount SET markup_rate = 0.04",
    "an active account without a login": "UPDATE brokerage_tradingaccount SET login_id = '' WHERE state = 'active'",
    "a login at the venue twice": "UPDATE brokerage_tradingaccount SET login_id = 'SAME'",
    "an instrument without a pip": "UPDATE brokerage_instrument SET pip = 0",
    "stake limits the wrong way round": "UPDATE brokerage_instrument SET min_stake = max_stake + 1",
    "a stake of nothing": "UPDATE brokerage_trade SET stake = 0",
    "an open trade without a contract": "UPDATE brokerage_trade SET contract_id = NULL WHERE state = 'open'",
    "a settled trade without an outcome": "UPDATE brokerage_trade SET state = 'won' WHERE state = 'open'",
    "an unbought trade with a contract": "UPDATE brokerage_trade SET state = 'denied' WHERE state = 'open'",
    "a contract claimed twice": "UPDATE brokerage_trade SET contract_id = 4711",
    "a key of a client twice": "UPDATE brokerage_trade SET key = 'same', client_id = (SELECT min(client_id) FROM brokerage_trade)",
    "two identical purchases in flight": "UPDATE brokerage_trade SET state = 'uncertain', contract_id = NULL, stake = 10, account_id = (SELECT min(account_id) FROM brokerage_trade)",
    "a client deleted": "DELETE FROM compliance_client",
    "a trading account deleted": "DELETE FROM brokerage_tradingaccount",
}


@pytest.mark.parametrize("sql", REFUSED.values(), ids=REFUSED)
def test_the_database_refuses(sql):
    from backoffice import sessions

    first, second = world.client("first@example.com"), world.client("second@example.com")
    sessions.start(first.user, at=world.NOW)
    for opening in (first, second):
        world.opened(world.placed(world.account(opening)))
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
        assert cursor.rowcount > 0, "the statement found nothing to change"
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
