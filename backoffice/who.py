"""Who acts: a person who logged in, or a named part of the system."""

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backoffice.models import User


@dataclass(frozen=True, slots=True)
class By:
    """Who a verb is done by, as it stands in entries, events and history.

    `name` is what the record shows: the person's e-mail address is never kept here (erasure would have to
    touch the log), only their id; a part of the system is named as `system:reconciler`.
    """

    user_id: int | None
    name: str

    @staticmethod
    def user(user: "User") -> "By":
        """A person, by their account."""
        return By(user_id=user.pk, name=f"{user.kind}:{user.uuid}")

    @staticmethod
    def system(part: str) -> "By":
        """A named part of the system: `streams`, `reconciler`, `scheduler`."""
        return By(user_id=None, name=f"system:{part}")

    @property
    def is_system(self) -> bool:
        return self.user_id is None


def called(name: str) -> str:
    """What somebody is called whose `By.name` a record keeps: a person's name as it is today, or the part of the system;
    nothing for nobody.

    One question for a person; in lists, `backoffice.admin.timeline.person` says what kind of somebody it was without any.
    """
    from backoffice.models import User

    kind, _, rest = name.partition(":")
    if kind != "system" and rest:
        try:
            user = User.objects.filter(uuid=uuid.UUID(rest)).first()
        except ValueError:
            user = None
        if user is not None:
            return str(user)
    return rest.replace("_", " ").capitalize() if kind == "system" else name.capitalize()
