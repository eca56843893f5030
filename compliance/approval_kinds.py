"""What can be asked for and must be agreed to: each app tells of its own kinds, and the engine knows nothing of them.

class AdjustmentKind(Kind[Adjustment]):
    name, label, permission, model = "adjustment", "Adjustment", "ledger.approve_adjustment", Adjustment
    ...

kinds.register(AdjustmentKind.name, AdjustmentKind())        # from AppConfig.ready
"""

import hashlib
import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Generic, TypeVar

from django.db.models import Model
from django.utils.safestring import SafeString

from backoffice.registry import Port
from backoffice.who import By
from compliance.models import Approval

S = TypeVar("S", bound=Model)
Content = Mapping[str, Any]


class Kind(ABC, Generic[S]):
    """A kind of thing people ask for. Subjects are rows with a `uuid`; one has at most one approval that is not over."""

    # Permanent, in rows and policies; and as people read it.
    name: ClassVar[str]
    label: ClassVar[str]
    # The full name of the permission whose holders may decide it (`ledger.approve_adjustment`).
    permission: ClassVar[str]
    model: type[S]
    # What showing one reads beside it: relations that come along in the same question.
    related: ClassVar[tuple[str, ...]] = ()

    @property
    def subject_type(self) -> str:
        """The kind of subject under which the event log knows these rows."""
        return self.name

    def subject_of(self, approval: Approval, *, lock: bool = False) -> S:
        """What an approval is about; with `lock`, locked until the end of the transaction.

        The engine locks the subject, then the approval, then runs what is asked for: whoever needs another row locked
        before the subject (the client's) does so here.
        """
        rows = self.model._default_manager.select_related(*self.related)
        if lock:
            rows = rows.select_for_update(of=("self",), no_key=True)
        return rows.get(uuid=approval.subject_id)

    def subjects_of(self, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, S]:
        """Many subjects at once, by public id, to be shown: one question, with what `facts` reads where `known` adds it."""
        rows = self.known(
            self.model._default_manager.select_related(*self.related).filter(uuid__in=list(ids))
        )
        return {row.uuid: row for row in rows}

    def known(self, rows: Any) -> Any:
        """The subjects with what an approver should know of each, as annotations, so that `facts` asks nothing more."""
        return rows

    def title(self, subject: S) -> str:
        """What is asked for, in words that stay true: “Withdrawal of 1,250.00 USD to DE…42”."""
        return str(subject)

    def gist(self, subject: S) -> str:
        """What is left to say of it where kind, client and amount have columns of their own: “to Ana Abara, DE…42”."""
        return ""

    @abstractmethod
    def content(self, subject: S) -> Content:
        """All that is agreed to, as ids, amounts, instants and states. Any difference here ends the approval."""

    @abstractmethod
    def check(self, subject: S, *, by: By, at: datetime) -> None:
        """Whether it could be done now; looked at again right before it is. Moves nothing.

        :raises DomainError: if not.
        """

    @abstractmethod
    def apply(self, subject: S, *, approval: Approval, by: By, at: datetime) -> None:
        """Do what was agreed to, in the engine's transaction. `by` is who agreed last, or a part of the system.

        :raises DomainError: if it cannot be done; then nothing of it stays, and the approval has failed.
        """

    @abstractmethod
    def refuse(self, subject: S, *, approval: Approval, reason: str, by: By, at: datetime) -> None:
        """What follows where it is rejected or nobody decided in time; `approval.state` says which."""

    def preview(self, subject: S) -> SafeString | str:
        """What applying it will do, as HTML: journal lines with balances before and after. Changes nothing."""
        return ""

    def facts(self, subjects: Iterable[S]) -> dict[S, list[str]]:
        """What an approver should know of each, in words: “new beneficiary”, “KYC 2 days old”. Of rows that `subjects_of`
        gave.
        """
        return {}

    def url(self, subject: S) -> str:
        """The address of the subject's own page in the console; empty where there is none."""
        return ""


kinds: Port[Kind[Any]] = Port("kinds of approval")


def find(name: str) -> "Kind[Any] | None":
    """The kind of this name; None where nobody registers it any more."""
    return kinds.get(name) if name in kinds.names() else None


def choices() -> list[tuple[str, str]]:
    """Names and labels of all kinds, for filters and forms."""
    return [(name, kinds.get(name).label) for name in kinds.names()]


def canonical(content: Content) -> dict[str, Any]:
    """Content as it is kept: 10, 10.0 and 10.00 are one amount; ids and instants are text.

    :raises TypeError: if something in it is no id, amount, instant, state or list of them; floats are none.
    """
    return {str(word): _plain(value) for word, value in content.items()}


def digest(content: Content) -> str:
    """SHA-256 of content, whatever its order."""
    text = json.dumps(canonical(content), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return canonical(value)
    raise TypeError(f"{type(value).__name__} cannot be agreed to: ids, amounts, instants and states can.")
