"""Which client an operation is about."""

from backoffice.errors import NotFound
from backoffice.models import User
from compliance.models import Client
from graphql_api.brokerage import id_of


def client_of(user: User, given: str | None) -> Client:
    """One of the clients this person acts for; without an id their first.

    :raises NotFound: if there is none with this id, or it is somebody else's.
    """
    rows = Client.objects.of_user(user).order_by("pk")
    row = rows.first() if given is None else rows.filter(uuid=id_of(given)).first()
    if row is None:
        raise NotFound("There is no such client.", field="client")
    return row
