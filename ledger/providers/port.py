"""What every provider answers, and how it fails. Whoever calls learns one of four things: taken, no, not sent, or nothing."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from backoffice.registry import Port
from ledger.models import Account, Payment


class Outcome(StrEnum):
    """What a provider says of a payment that it has."""

    SENT = "sent"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    RETURNED = "returned"
    # It does not know the payment, which proves nothing: its books may be behind.
    NOT_KNOWN = "not_known"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider said: what became of the payment, what it calls it, and in its words why."""

    outcome: Outcome
    reference: str = ""
    code: str = ""
    message: str = ""


class ProviderError(Exception):
    """A provider could not be talked to."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code} {message}".strip())
        self.code, self.message = code, message


class NotSent(ProviderError):
    """Certainly nothing reached it; it may be tried again."""


class AnswerLost(ProviderError):
    """It may have taken the payment: nobody knows before it is asked. Nothing is ever sent a second time for this."""


class Refused(ProviderError):
    """It understood, and will not do it: certainly nothing is paid."""


class Provider(ABC):
    """Somebody who pays: by a file that people take to a bank, by hand, or when called (`CalledProvider`)."""

    # Permanent, in routes and payments; and as people read it.
    name: ClassVar[str]
    label: ClassVar[str]
    # By which methods it pays.
    methods: ClassVar[frozenset[str]]
    # Whether payments go in files that people take to a bank.
    is_file: ClassVar[bool] = False
    # Whether a person pays by hand: it waits until somebody takes it on.
    is_manual: ClassVar[bool] = False

    @abstractmethod
    def settles_from(self, payment: Payment) -> Account:
        """The account of ours that a confirmed payment leaves, and that a returned one comes back to."""


class CalledProvider(Provider):
    """One that a worker hands payments to and asks about them. Called outside of transactions; a crash may repeat a question."""

    @abstractmethod
    def send(self, payment: Payment) -> Answer:
        """Hand the payment over, under its end-to-end id. Called once in its life.

        :raises NotSent, AnswerLost, Refused: as their names say.
        """

    @abstractmethod
    def status(self, payment: Payment) -> Answer:
        """What became of it, asked by its end-to-end id. Changes nothing at the provider.

        :raises NotSent, AnswerLost: if it cannot be asked; both mean that nothing was learned.
        """


providers: Port[Provider] = Port("providers of payments")
