"""Transfer codes: how a client says where they want to be sent money, without saying who they are.

A code is chance with a check sign; nobody can tell from it, or from an answer to it, whether a person is a client here.
"""

from datetime import datetime

from backoffice.errors import DomainError
from compliance.models import Client
from ledger import references
from ledger.models import TransferCode


class RecipientUnknown(DomainError):
    """Nobody can be sent money under this code. Whether there is somebody is not said."""

    code = "RECIPIENT_UNKNOWN"
    field = "to"


def code_of(client: Client, *, at: datetime) -> str:
    """The client's code, made when first asked for; it never changes. Two at once get the same."""
    found = TransferCode.objects.filter(client=client).first()
    if found is None:
        row = TransferCode(client=client, code=references.unused(TransferCode, "code"), made_at=at)
        TransferCode.objects.bulk_create([row], ignore_conflicts=True)
        found = TransferCode.objects.get(client=client)
    return found.code


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
