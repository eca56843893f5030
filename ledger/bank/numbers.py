"""Account numbers of banks: checked, and shown without giving them away."""

from schwifty import BIC, IBAN
from schwifty.exceptions import SchwiftyException

from backoffice.errors import InvalidInput
from ledger.bank.lines import plain_number


def checked_iban(text: str) -> str:
    """An IBAN without spaces, its check digits and its country's form right. :raises InvalidInput: if it is none."""
    try:
        return str(IBAN(plain_number(text)))
    except SchwiftyException:
        raise InvalidInput("That is not an IBAN: its digits do not check.", field="iban") from None


def checked_bic(text: str) -> str:
    """A BIC of 8 or 11 signs. :raises InvalidInput: if it is none."""
    try:
        return str(BIC(plain_number(text)))
    except SchwiftyException:
        raise InvalidInput("That is not a BIC.", field="bic") from None


def masked(number: str) -> str:
    """Enough of an account number to know it again: `DE89…3000`."""
    plain = plain_number(number)
    return f"{plain[:4]}…{plain[-4:]}" if len(plain) > 8 else ("…" if plain else "")
