"""On the token of a look as a client the schema only reads, and writes down what it was asked."""

from collections.abc import Iterator
from typing import Any

from django.utils import timezone
from graphql import ExecutionResult, FieldNode, OperationDefinitionNode
from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from backoffice import access
from backoffice.errors import DomainError
from backoffice.models import Session
from compliance import viewing
from graphql_api.viewer import as_error, session_of_request


class ViewOnly(SchemaExtension):
    """On the token of a look nothing is changed, whatever is asked, and each query is written down."""

    def on_execute(self) -> Iterator[None]:
        context = self.execution_context
        session = _look(getattr(context.context, "request", None))
        if session is not None:
            if context.operation_type != OperationType.QUERY:
                refusal = viewing.ReadOnly(
                    "You are looking as a client: nothing is changed. Ask the client to do it."
                )
                context.result = ExecutionResult(data=None, errors=[as_error(refusal)])
            else:
                note(session, _asked(context.graphql_document))
        yield None


def note(session: Session, asked: str) -> None:
    """Write down what was asked as the client."""
    if session.viewed_client_id is not None:
        access.note(session.user, [session.viewed_client_id], "view", asked, at=timezone.now())


def _look(request: Any) -> Session | None:
    """The look behind a request over HTTP, if it is one. A bad token is for the resolvers to refuse."""
    if request is None:
        return None
    try:
        session = session_of_request(request)
    except DomainError:
        return None
    return session if session.kind == Session.Kind.VIEW else None


def _asked(document: Any) -> str:
    names = [
        field.name.value
        for part in getattr(document, "definitions", ())
        if isinstance(part, OperationDefinitionNode)
        for field in part.selection_set.selections
        if isinstance(field, FieldNode)
    ]
    return ", ".join(dict.fromkeys(names))
