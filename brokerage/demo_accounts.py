"""Demo accounts at the venue: opened by the simulator's own desk, which answers the same to the same request."""

import httpx

from backoffice.money import parse_amount
from backoffice.who import By
from brokerage import accounts, simulated_venue
from brokerage.deriv.errors import MalformedAnswer
from brokerage.models import TradingAccount
from brokerage.translation import Clock


def open_at_venue(account: TradingAccount, *, now: Clock) -> TradingAccount:
    """Have the venue open the account and mirror its opening balance. Asked again, the venue answers the same.

    :raises NotSent: if the venue cannot be reached; the account stays *opening* and the sweep asks again.
    :raises MalformedAnswer: if the answer makes no sense.
    """
    if account.state != TradingAccount.State.OPENING:
        return account
    body = {"currency": account.currency_id, "balance": f"{account.opening_balance:f}", "is_demo": True}
    answer = simulated_venue.ask("PUT", f"accounts/{account.uuid}", body)
    if answer.status_code != httpx.codes.OK:
        raise MalformedAnswer("BAD_ANSWER", f"The venue answered {answer.status_code} to opening an account.")
    try:
        given = answer.json()
        login_id, token = str(given["login_id"]), str(given["token"])
        balance = parse_amount(given["balance"], exponent=account.currency.exponent)
    except (ValueError, KeyError) as found:
        raise MalformedAnswer(
            "BAD_ANSWER", "The venue's answer to opening an account makes no sense."
        ) from found
    return accounts.confirm_opened(
        account, login_id=login_id, token=token, balance=balance, by=By.system("streams"), at=now()
    )
