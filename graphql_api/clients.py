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
