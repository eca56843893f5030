"""What can go wrong with the venue, sorted by what the caller must do next.

The question that decides everything after a purchase or a sale is *did the venue act?* So:

* ``NotSent``: it never heard of it. Trying again is safe.
* ``RetryLater``, ``Reprice``, ``Refused``, ``NotAuthorized``, ``SaleRefused``: it heard and said no.
* ``OutcomeUnknown`` and everything below it: nobody knows. Never repeat a purchase or a sale; ask the venue
  (portfolio, profit table, statement) what happened.

An error code we do not know is a refusal when it answers a question, and ``OutcomeUnknown`` when it answers a
purchase or a sale. The same goes for the codes that say that the venue's own machinery failed (``CallError``,
``InternalServerError``): it may have failed after the contract was sold. Looking once too often costs one
request; taking an executed purchase for a refused one costs money.
"""

from typing import Any

TRADING_CALLS = frozenset({"buy", "sell"})


class VenueError(Exception):
    """Anything the venue, or the way to it, answered instead of what was asked for.

    ``code`` is the venue's own code, or ours where the venue said nothing. ``field`` is the request's field the
    venue complains about, if it names one. ``message`` is for staff: it may quote the venue, never a token.
    """

    def __init__(
        self, code: str, message: str = "", details: dict[str, Any] | None = None, field: str | None = None
    ) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.details = details or {}
        self.field = field


class NotSent(VenueError):
    """There was no working connection, and nothing left this machine. Reconnect and send it again."""


class Halted(NotSent):
    """Our own order gate let it not through at the last moment. Nothing left this machine; do not send it again."""


class RetryLater(VenueError):
    """The venue is busy or we ask too often. It did nothing; wait, then send the same again."""


class Reprice(VenueError):
    """The price or the proposal is no longer good. Nothing was bought or sold; ask for a new price."""


class Refused(VenueError):
    """The venue will not do this, now or later. Nothing was done; give up and tell the client why."""


class SaleRefused(Refused):
    """This contract cannot be sold (now). It stays as it was; look at its present state."""


class RequestUsed(Refused):
    """A payment was accepted under this ``request_id`` before, and this one was not made. Look what became of the first."""


class NotAuthorized(VenueError):
    """The token is missing, invalid or may not do this. Nothing was done; authorize again or ask for a new token."""


class OutcomeUnknown(VenueError):
    """The venue may or may not have acted. Do not send it again; find out what happened."""


class MalformedAnswer(OutcomeUnknown):
    """The venue answered something that breaks its own protocol. As good as no answer."""


class ConnectionLost(OutcomeUnknown):
    """The connection broke while an answer or a stream was expected. Reconnect, then find out what happened."""


class AnswerTimeout(OutcomeUnknown):
    """No answer came in time; it may still come. Find out what happened."""


class FellBehind(VenueError):
    """Our side read a stream too slowly and its queue is full. Subscribe again: the stream has a gap."""


RATE_LIMIT = "RateLimit"
RETRY_LATER = frozenset({RATE_LIMIT, "CallError", "InternalServerError"})
MAYBE_DONE = frozenset({"CallError", "InternalServerError"})
REPRICE = frozenset({"PriceMoved", "InvalidContractProposal"})
NOT_AUTHORIZED = frozenset({"AuthorizationRequired", "InvalidToken", "PermissionDenied", "InvalidAppID"})
SALE_REFUSED = frozenset(
    {
        "NoOpenPosition",
        "InvalidSellContractProposal",
        "ContractAlreadySold",
        "ResaleNotOffered",
        "SellAtEntryTick",
    }
)
REFUSED = frozenset(
    {
        "AlreadySubscribed",
        "BadRequest",
        "ContractBuyValidationError",
        "ContractCreationFailure",
        "CustomLimitsReached",
        "DailyTurnoverLimitExceeded",
        "InputValidationFailed",
        "InsufficientBalance",
        "InvalidJSON",
        "InvalidSymbol",
        "MarketIsClosed",
        "OfferingsValidationError",
        "OpenPositionLimitExceeded",
        "PayoutLimits",
        "RefundBuyForMissingData",
        "StakeLimits",
        "UnrecognisedRequest",
    }
)
# What a payment or a bulk purchase over HTTP is refused with for certain. ``RequestIDUsed`` has a class of its own.
PAYMENT_REFUSED = frozenset(
    {
        "AccessDenied",
        "AccountNotFound",
        "AgentCurrencyUnsupported",
        "AgentIDInvalid",
        "AgentInactive",
        "AgentNotFound",
        "AgentSelfTransfer",
        "AgentSelfWithdraw",
        "BadInputRequest",
        "ClientCountryUnsupported",
        "FieldIsRequired",
        "InputError",
        "InvalidOTP",
        "InvalidRequestIDFormat",
        "NicknameNotFound",
        "NoClientWallet",
        "OtpRateLimitExceeded",
        "OtpValidationRateLimitExceeded",
        "Unauthorized",
        "UnauthorizedAccess",
        "ValidationError",
        "VerificationCodeFormatInvalid",
        "WalletFundsInsufficient",
        "WithdrawalAmountMaximum",
        "WithdrawalAmountMinimum",
    }
)


def error_class(code: str, call: str) -> type[VenueError]:
    """The class for the venue's ``code`` in answer to ``call`` (``buy``, ``balance``, …)."""
    trading = call in TRADING_CALLS
    if code == "WrongResponse" or (trading and code in MAYBE_DONE):
        return OutcomeUnknown
    if code in RETRY_LATER:
        return RetryLater
    if code in REPRICE:
        return Reprice
    if code in NOT_AUTHORIZED:
        return NotAuthorized
    if code in SALE_REFUSED:
        return SaleRefused
    if code in REFUSED or not trading:
        return Refused
    return OutcomeUnknown


def from_answer(error: Any, call: str) -> VenueError:
    """The exception for an answer's ``error`` object; a nonsensical one is a ``MalformedAnswer``."""
    if not isinstance(error, dict) or not isinstance(error.get("code"), str):
        return MalformedAnswer("MalformedAnswer", f"the error that answers {call} has no code")
    message, details = error.get("message"), error.get("details")
    known = details if isinstance(details, dict) else {}
    field = known.get("field") if isinstance(known.get("field"), str) else next(iter(known), None)
    return error_class(error["code"], call)(
        error["code"], message if isinstance(message, str) else "", known, field
    )
