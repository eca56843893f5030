"""`manage.py list_documents`: the registered documents, each checked as it will be when it is first asked for."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from graphql import GraphQLError, OperationDefinitionNode

from backoffice.errors import DomainError
from graphql_api import cost, persisted, preparation
from graphql_api.schema import schema


class Command(BaseCommand):
    help = "Prints the id, name and greatest cost of each registered document; exits with 1 if one could not be answered."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = []
        for public_id, text in persisted.registered().items():
            try:
                name, greatest = _checked(text)
                self.stdout.write(f"sha256:{public_id}  {greatest:>6,}  {name}")
            except (GraphQLError, DomainError) as found:
                wrong.append(f"sha256:{public_id}: {found.message}")
        if wrong:
            raise CommandError("Not answered as they are:\n" + "\n".join(wrong))


def _checked(text: str) -> tuple[str, int]:
    """The name of a document's one operation, and what it costs with full pages.

    :raises GraphQLError: if it is not an operation of this schema. :raises TooCostly: if it asks for too much.
    """
    prepared = preparation.prepare(text, schema)
    if prepared.errors:
        raise prepared.errors[0]
    found = [one for one in prepared.document.definitions if isinstance(one, OperationDefinitionNode)]
    if len(found) != 1 or found[0].name is None:
        raise GraphQLError("A registered document has one operation, with a name.")
    weight = cost.Measure(schema._schema, cost.fragments_of(prepared.document), None).of(found[0])
    cost.check(weight)
    return found[0].name.value, weight.cost
