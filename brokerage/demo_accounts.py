"""Demo accounts at the venue: opened by the simulator's own desk, which answers the same to the same request."""

from typing import Final
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from backoffice.money import parse_amount
from backoffice.who import By
from brokerage import accounts
from brokerage.deriv.errors import MalformedAnswer, NotSent
from brokerage.models import TradingAccount
from brokerage.translation import Clock

TIMEOUT_SECONDS: Final = 10.0


def open_at_venue(account: TradingAccount, *, now: Clock) -> TradingAccount:
    """Have the venue open the account and mirror its opening balance. Asked again, the venue answers the same.

    :raises NotSent: if the venue cannot be reached; the account stays *opening* and the sweep asks again.
    :raises MalformedAnswer: if the answer makes no sense.
    """
    if account.state != TradingAccount.State.OPENING:
        return account
    venue = urlsplit(settings.CONFIG.venue_url)
    scheme = "https" if venue.scheme == "wss" else "http"
    try:
        answer = httpx.put(
            f"{scheme}://{venue.netloc}/simulator/accounts/{account.uuid}",
            json={
                "currency": account.currency_id,
                "balance": f"{account.opening_balance:f}",
                "is_demo": True,
            },
            timeout=TIMEOUT_SECONDS,
        )
    except httpx.HTTPError as found:
        raise NotSent("NO_CONNECTION", f"The venue cannot be reached: {type(found).__name__}.") from found
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
