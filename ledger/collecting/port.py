"""What every collector can be asked, and what it tells. Whoever calls learns one of four things: done, no, not sent, or nothing.

A collector is registered under its name from `AppConfig.ready`. Its calls are made outside of transactions. Those that
change something at the collector carry an idempotency key of ours, so that a second one does nothing.
"""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Final

from backoffice.registry import Port
from ledger.models import CollectorEvent, Deposit
from ledger.providers.port import AnswerLost, NotSent, ProviderError, Refused

__all__ = ["AnswerLost", "BadSignature", "Collect", "Collector", "Found", "GiveBack", "NotSent", "Outcome", "ProviderError", "Refund", "Refused",
           "Told", "collectors"]  # fmt: skip

# Collectors have no rows; this makes the same id of a name everywhere.
_NAMES: Final = uuid.UUID("6c1d0f0e-3c34-4f36-9a0e-5b0f0d3b7a11")


class BadSignature(Exception):
    """What came was not signed by the collector, or too long ago. Nothing of it is believed."""


class Outcome(StrEnum):
    """What became of a client's payment, or of a refund."""

    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Collect:
    """What the client's app needs to have the client pay: an address to go to, or a secret for the collector's own form."""

    external_id: str
    url: str = ""
    client_secret: str = ""
    publishable_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where a client's payment stands, by the collector's word. `fee` is what it charges us for it; None: not told yet."""

    outcome: Outcome
    amount: Decimal = Decimal(0)
    currency: str = ""
    fee: Decimal | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Money of a completed deposit that is to go back the way it came. `uuid` is our own id of the wish: a claw-back's, or a payment's."""

    uuid: uuid.UUID
    deposit: Deposit
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """One refund in the collector's books. `ours` is the id of the wish it was made for, None where somebody else made it."""

    external_id: str
    amount: Decimal
    currency: str
    outcome: Outcome
    ours: uuid.UUID | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event of a collector, whose signature was good. What it says is checked against our own records before it counts."""

    event_id: str
    kind: CollectorEvent.Kind
    occurred_at: datetime
    reference: str = ""
    payment_id: str = ""
    object_id: str = ""
    amount: Decimal | None = None
    currency: str = ""
    fee: Decimal = Decimal(0)
    message: str = ""


class Collector(ABC):
    """Somebody who takes deposits for us. Every call raises a `ProviderError` and nothing else for what network and collector do."""

    # Permanent, in deposits and events; and as people read it.
    name: ClassVar[str]
    label: ClassVar[str]
    # A `Method`: what clients call it.
    method: ClassVar[str]

    @property
    def uuid(self) -> uuid.UUID:
        """By what accounts are owned by it."""
        return uuid.uuid5(_NAMES, self.name)

    @abstractmethod
    def currencies(self) -> frozenset[str]:
        """The currencies it takes for us here; none while its keys are not set."""

    @abstractmethod
    def begin(self, deposit: Deposit) -> Collect:
        """Make the payment the client is to agree to, under the deposit's own key; one that was made before is found again.

        :raises NotSent, AnswerLost, Refused: as their names say; no money moves by this.
        """

    @abstractmethod
    def status(self, deposit: Deposit) -> Found:
        """Where it stands. What the client has approved and is ours to take is taken first, under the deposit's key.

        :raises NotSent, AnswerLost: if nothing was learned.
        """

    @abstractmethod
    def give_up(self, deposit: Deposit) -> bool:
        """Have it never be paid, if it was not yet; whether that is certain.

        :raises NotSent, AnswerLost: if nothing was learned.
        """

    @abstractmethod
    def refund(self, wish: GiveBack) -> Refund:
        """Give money back, under the wish's own key.

        :raises NotSent, AnswerLost, Refused: as their names say.
        """

    @abstractmethod
    def refunds(self, deposit: Deposit) -> list[Refund]:
        """All refunds of a deposit in the collector's books, whoever asked for them.

        :raises NotSent, AnswerLost: if nothing was learned.
        """

    @abstractmethod
    def verify(self, headers: Mapping[str, str], body: bytes, *, at: datetime) -> list[Told]:
        """The events in a call of the collector's to us; none where it tells what we do not follow. `at` is our clock.

        :raises BadSignature: if it is not signed by the collector, was signed longer ago than it is sent again, or makes no sense.
        :raises NotSent, AnswerLost: if the collector has to be asked about the signature, and does not answer.
        """


collectors: Port[Collector] = Port("collectors of deposits")
