"""What the API refuses before it does anything: strangers, bombs, nonsense; and what it never tells."""

import json

import pytest
import strawberry
from django.test import Client, override_settings
from graphql import GraphQLInputObjectType, GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLUnionType

from backoffice import documents
from backoffice.configuration import ROOT
from backoffice.models import Event
from graphql_api import schema as api
from tests.edges.api import App

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
# What a stranger may do; everything else asks who they are.
OPEN_TO_ALL = {"signUp", "logIn", "refreshToken", "requestPasswordReset", "resetPassword", "verifyEmail"}


def sample(of):
    """A value that fits an input type."""
    if isinstance(of, GraphQLNonNull):
        of = of.of_type
    if isinstance(of, GraphQLList):
        return "[]"
    if isinstance(of, GraphQLInputObjectType):
        needed = {name: f.type for name, f in of.fields.items() if isinstance(f.type, GraphQLNonNull)}
        return "{" + ", ".join(f"{name}: {sample(kind)}" for name, kind in needed.items()) + "}"
    if hasattr(of, "values"):
        return next(iter(of.values))
    return {"Int": "1", "Boolean": "true", "Date": '"2026-01-31"'}.get(of.name, '"1"')


def selection(of):
    while isinstance(of, GraphQLNonNull | GraphQLList):
        of = of.of_type
    if isinstance(of, GraphQLUnionType):
        return "{ ... on Problem { code } }"
    return "{ __typename }" if isinstance(of, GraphQLObjectType) else ""


def operations():
    graph = api.schema._schema
    for kind, root in (("query", graph.query_type), ("mutation", graph.mutation_type)):
        for name, field in root.fields.items():
            if name not in OPEN_TO_ALL:
                needed = {n: a.type for n, a in field.args.items() if isinstance(a.type, GraphQLNonNull)}
                given = ", ".join(f"{n}: {sample(t)}" for n, t in needed.items())
                yield name, f"{kind} {{ {name}{f'({given})' if given else ''} {selection(field.type)} }}"


@pytest.mark.parametrize(("name", "text"), list(operations()))
def test_a_stranger_gets_one_clear_answer_on_every_operation(name, text):
    before = Event.objects.count()
    answer = App().ask(text)
    problem = (answer.get("data") or {}).get(name) or answer["errors"][0]["extensions"]
    assert problem["code"] == "NOT_AUTHENTICATED"
    assert Event.objects.count() == before


@pytest.mark.parametrize(
    "bomb",
    [
        "{ me { clients " + "{ clients " * 9 + "{ name }" + " }" * 9 + " } }",
        "{ " + " ".join(f"a{n}: me {{ id }}" for n in range(16)) + " }",
        "{ me { " + "id " * 2000 + "} }",
    ],
    ids=["deep", "aliases", "tokens"],
)
def test_a_query_bomb_is_refused(bomb):
    answer = App().ask(bomb)
    assert answer["errors"] and not answer.get("data")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{not json", 400),
        (b"[]", 400),
        (b'{"query": 1}', 400),
        (b'{"nothing": true}', 400),
        (b"x" * 300_000, 413),
    ],
)
def test_a_body_that_is_no_request_is_refused_without_a_trace(body, status):
    answer = Client().post("/graphql/", body, content_type="application/json")
    assert answer.status_code == status
    assert b"Traceback" not in answer.content


def test_a_list_of_requests_is_refused():
    body = json.dumps([{"query": "{ me { id } }"}] * 2)
    assert Client().post("/graphql/", body, content_type="application/json").status_code == 400


def test_a_query_in_the_address_is_refused():
    assert Client().get("/graphql/", {"query": "{ me { id } }"}).status_code in (400, 404, 405)


def test_a_defect_of_ours_tells_nothing_of_itself():
    @strawberry.type
    class Query:
        @strawberry.field
        def broken(self) -> int:
            raise RuntimeError("secret detail")

    answer = strawberry.Schema(Query, extensions=api.extensions()).execute_sync("{ broken }")
    assert [error.message for error in answer.errors] == ["Something failed on our side."]


def test_a_mistake_in_a_query_is_explained():
    (error,) = App().ask("{ nonsense }")["errors"]
    assert "nonsense" in error["message"]


def test_the_schema_file_says_what_the_schema_is():
    assert documents.schema() == (ROOT / "schema.graphql").read_text()


def test_only_listed_origins_may_read_answers_and_only_of_the_api():
    with override_settings(CORS_ALLOWED_ORIGINS=["https://app.example"]):
        for path, origin, may in [
            ("/graphql/", "https://app.example", True),
            ("/graphql/", "https://elsewhere.example", False),
            ("/admin/login/", "https://app.example", False),
        ]:
            answer = Client().options(
                path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
            )
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if may else None)
