"""How the ledger says no, and how an answer of its SQL functions becomes a refusal.

Every refusal means that nothing moved and that the caller's transaction can go on.
"""

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from backoffice.errors import DomainError, InvalidInput, KeyReused, NotFound
from backoffice.money import InvalidAmount


class InsufficientFunds(DomainError):
    """A guarded account would fall below zero or below its holds, or less is available than is to be held."""

    code = "INSUFFICIENT_FUNDS"
    field = "amount"


class AccountClosed(DomainError):
    """The account is closed; nothing is posted to it or held on it."""

    code = "ACCOUNT_CLOSED"
    field = "account"


class AccountNotEmpty(DomainError):
    """An account can only be closed at zero and without holds."""

    code = "ACCOUNT_NOT_EMPTY"
    field = "account"


class AccountDiffers(DomainError):
    """The account exists already, as another kind or for another client than asked for."""

    code = "ACCOUNT_DIFFERS"
    field = "account"


class UnknownAccount(NotFound):
    """There is no such ledger account."""

    code = "UNKNOWN_ACCOUNT"
    field = "account"


class Unbalanced(InvalidInput):
    """Debits and credits of an entry differ in a currency."""

    code = "UNBALANCED"
    field = "lines"


class MixedBooks(InvalidInput):
    """Accounts of two books met in one entry or in one transfer of a hold."""

    code = "MIXED_BOOKS"
    field = "lines"


class NothingToPost(InvalidInput):
    """An entry needs at least two lines, a batch at least one entry."""

    code = "NOTHING_TO_POST"
    field = "lines"


class DayClosed(DomainError):
    """The business date is closed in this book; nothing more is booked on it."""

    code = "DAY_CLOSED"
    field = "business_date"


class HoldResolved(DomainError):
    """The hold was already captured, released, expired or transferred; that outcome stands."""

    code = "HOLD_RESOLVED"
    field = "hold"


class AlreadyReversed(DomainError):
    """The entry was reversed before; it is reversed once."""

    code = "ALREADY_REVERSED"
    field = "entry"


_REFUSALS: Final[dict[str, tuple[type[DomainError], str]]] = {
    "insufficient_funds": (InsufficientFunds, "There is not enough available for this."),
    "account_closed": (AccountClosed, "The account is closed."),
    "unknown_account": (UnknownAccount, "There is no such account."),
    "unbalanced": (Unbalanced, "Debits and credits differ in {currency}."),
    "mixed_books": (MixedBooks, "One entry cannot touch two books."),
    "invalid_amount": (InvalidAmount, "An amount must be positive and have at most {exponent} decimals."),
    "balance_too_large": (InvalidAmount, "No balance may reach 10^20."),
    "capture_exceeds_hold": (InvalidAmount, "At most the held amount can be captured."),
    "day_closed": (DayClosed, "{day} is closed in this book."),
    "key_reused": (KeyReused, "This key was used before with other content."),
    "hold_resolved": (HoldResolved, "The hold was already resolved: {state}."),
    "already_reversed": (AlreadyReversed, "The entry was already reversed."),
}


def refuse(status: str, detail: Mapping[str, Any]) -> NoReturn:
    """Raise the refusal that an answer of a ledger function stands for. An unknown status is a bug."""
    refusal, message = _REFUSALS[status]
    raise refusal(message.format_map({"currency": "", "exponent": "", "state": "", "day": "", **detail}))
