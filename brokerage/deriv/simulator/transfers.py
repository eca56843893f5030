"""Money between two accounts of one user: what the venue lets through."""

from decimal import Decimal

from brokerage.deriv.simulator.books import Account, Refusal
from brokerage.deriv.simulator.catalog import CENT, exchanged


def checked(giver: Account, taker: Account | None, amount: Decimal, currency: str) -> Account:
    """The account that may be given ``amount`` by ``giver``.

    Raises ``Refusal``: ``InsufficientBalance`` if the balance does not cover the amount, otherwise
    ``TransferBetweenAccountsError``. A stranger's account is refused in the words for none at all.
    """
    if taker is None or taker.user_id != giver.user_id:
        raise _refusal("The user has no such account.", "account_to")
    if taker.login_id == giver.login_id:
        raise _refusal("The two accounts are the same.", "account_to")
    if giver.is_demo or taker.is_demo:
        raise _refusal(
            "Money moves between real accounts only.", "account_from" if giver.is_demo else "account_to"
        )
    if currency != giver.currency:
        raise _refusal(f"The account is kept in {giver.currency}.", "currency")
    if amount <= 0:
        raise _refusal("The amount is above zero.", "amount")
    if amount > giver.balance:
        raise Refusal("InsufficientBalance", "The balance does not cover the amount.", {"field": "amount"})
    if amount != amount.quantize(CENT):
        raise _refusal("The amount has at most two decimals.", "amount")
    if exchanged(amount, giver.currency, taker.currency) <= 0:
        raise _refusal(f"The amount is less than a cent of {taker.currency}.", "amount")
    return taker


def may_transfer(account: Account, other: Account) -> bool:
    """Whether money may move between the two at all, whatever the amount."""
    return (
        account.user_id == other.user_id
        and account.login_id != other.login_id
        and not (account.is_demo or other.is_demo)
    )


def _refusal(message: str, field: str) -> Refusal:
    return Refusal("TransferBetweenAccountsError", message, {"field": field})
