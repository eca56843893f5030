"""The venue's payment agents' desk, asked as the agent we are or as a client who lets us in.

Money goes to a client's account as our transfer to them, and comes back as their withdrawal through us.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from django.conf import settings

from backoffice.configuration import Configuration
from backoffice.errors import DomainError
from backoffice.money import quantum
from brokerage import accounts, simulated_venue, venue_rest
from brokerage.deriv.rest_types import CodeSent, Payment
from brokerage.models import Funding, Grant, TradingAccount

PAYMENT: Final = "payment"


class NotFundable(DomainError):
    """Money cannot be moved to or from this account: it is a demo, or the client's permission does not cover it."""

    code = "NOT_FUNDABLE"
    field = "account"


@dataclass(frozen=True, slots=True, repr=False)
class Agent:
    """The payment agent that this deployment is: its number at the venue, and its token."""

    agent_id: int
    token: str


def agent() -> Agent:
    """Who we are at the venue's desk.

    :raises NotFundable: if the deployment is no payment agent. :raises NotSent: if the simulator cannot be asked.
    """
    config: Configuration = settings.CONFIG
    if config.is_simulated:
        return Agent(*simulated_venue.agent())
    if not (config.deriv_agent_id and config.deriv_agent_token):
        raise NotFundable(
            "Accounts cannot be funded here: the deployment is no payment agent of the venue's."
        )
    return Agent(config.deriv_agent_id, config.deriv_agent_token)


def check_may_pay(account: TradingAccount) -> None:
    """:raises NotFundable: unless it is a real account whose grant may allow payments: a personal token does not say."""
    if account.kind != TradingAccount.Kind.REAL:
        raise NotFundable("Only a real account can be funded.")
    grant: Grant | None = account.grant
    if grant is None or not (grant.kind == Grant.Kind.PERSONAL or grant.allows(PAYMENT)):
        raise NotFundable("Link the account again and allow payments; its permission does not cover them.")


def request_code(account: TradingAccount, amount: Decimal) -> CodeSent:
    """Have the venue send the client a code for a withdrawal of exactly this. :raises VenueError: as `RestClient` says."""
    token, number = accounts.credentials_of(account).token, agent().agent_id
    return venue_rest.ask(
        token,
        lambda rest: rest.request_withdrawal_code(
            number, _in_cents(account, amount), currency=account.currency_id
        ),
    )


def send(funding: Funding) -> Payment:
    """Send it, under its own number: however often, the venue moves the money once.

    :raises RequestUsed: if the venue took it before. :raises VenueError: as `RestClient` says.
    """
    token, us = accounts.credentials_of(funding.account).token, agent()
    amount = _in_cents(funding.account, funding.amount)
    given = {"request_id": funding.request_id, "currency": funding.currency_id}
    if funding.direction == Funding.Direction.TO_VENUE:
        nickname = venue_rest.ask(token, lambda rest: rest.nickname())
        return venue_rest.ask(us.token, lambda rest: rest.transfer(nickname, amount, **given))
    code = funding.code or ""
    return venue_rest.ask(token, lambda rest: rest.withdraw(us.agent_id, amount, code, **given))


def status(funding: Funding) -> Payment:
    """How a withdrawal that was sent stands. :raises Refused: if the venue knows none. :raises VenueError: as `RestClient`."""
    token = accounts.credentials_of(funding.account).token
    return venue_rest.ask(token, lambda rest: rest.withdrawal(funding.request_id))


def _in_cents(account: TradingAccount, amount: Decimal) -> Decimal:
    """The amount with its currency's decimals and no more: how the venue wants it written. Exact, by the database."""
    return amount.quantize(quantum(account.currency.exponent))
