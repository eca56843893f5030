"""Transfer codes: how a client says where they want to be sent money, without saying who they are.

A code is chance with a check sign; nobody can tell from it, or from an answer to it, whether a person is a client here.
"""

from datetime import datetime

from django.utils import timezone

from backoffice.errors import DomainError, NotFound
from compliance.clients import Opening
from compliance.models import Client
from ledger import references
from ledger.models import TransferCode


class RecipientUnknown(DomainError):
    """Nobody can be sent money under this code. Whether there is somebody is not said."""

    code = "RECIPIENT_UNKNOWN"
    field = "to"


def give(opening: Opening) -> None:
    """Each client gets a code when they are opened; it never changes. Registered with `clients.opening_steps`."""
    _make([opening.client], opening.at)


def give_missing() -> list[str]:
    """Give a code to clients from before there were any; how many. Registered with the starting data."""
    made = _make(list(Client.objects.filter(transfer_code=None)), timezone.now())
    return [f"{made} transfer codes"] if made else []


def code_of(client: Client) -> str:
    """The client's code. :raises NotFound: if they have none yet."""
    found = TransferCode.objects.filter(client=client).values_list("code", flat=True).first()
    if found is None:
        raise NotFound("There is no transfer code yet.", field="client")
    return found


def find(code: str, *, sender: Client) -> Client:
    """Whose code it is, if `sender` may send them money.

    :raises RecipientUnknown: if there is none, it is the sender's own, or its client is not active: all alike.
    """
    found = Client.objects.filter(transfer_code__code=tidied(code), status=Client.Status.ACTIVE).first()
    if found is None or found.pk == sender.pk:
        raise RecipientUnknown("Nobody can be sent money under this code. Look at it again.")
    return found


def tidied(code: str) -> str:
    """A code however it was typed: in its one spelling, or as it came if it is none."""
    named = references.found_in(code[:64])
    return named[0] if len(named) == 1 else code[:64].strip()


def _make(clients: list[Client], at: datetime) -> int:
    rows = [
        TransferCode(client=one, code=references.unused(TransferCode, "code"), made_at=at) for one in clients
    ]
    return len(TransferCode.objects.bulk_create(rows))
