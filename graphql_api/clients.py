"""Which client an operation is about."""

from backoffice.models import User
from compliance import clients
from compliance.models import Client
from graphql_api.brokerage import id_of


def client_of(user: User, given: str | None) -> Client:
    """One of the clients this person acts for; without an id their first.

    :raises NotFound: if there is none with this id, or it is somebody else's.
    """
    return clients.of_user(user, id_of(given) if given is not None else None)


def acting_client(user: User, given: str | None, *, owned: bool = False) -> Client:
    """The same, if they may move its money; with `owned`, if it is their own. One question.

    :raises NotFound: as `client_of`. :raises NotAllowed: if they may not.
    """
    return clients.acting(user, id_of(given) if given is not None else None, owned=owned)
