"""Operations made to cost the server far more than the caller: each is told what it asks too much of, and nothing runs."""

import json
import re

import pytest
from django.test import Client
from graphql import OperationDefinitionNode, parse

from backoffice.configuration import ROOT
from graphql_api import cost, persisted, preparation
from graphql_api.schema import schema
from tests.edges.api import App

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]

EXPONENTIAL = "{ ...F0 } " + " ".join(
    f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(100)
) + " fragment F100 on Query { me { id } }"  # fmt: skip
ALIASES_IN_FRAGMENTS = "{ " + "...A " * 8 + "} fragment A on Query { x: me { id } y: me { id } }"
PAGES = "{ " + " ".join(f"a{n}: trades(first: 100) {{ edges {{ node {{ id state why version stake {{ amount }} account {{ id }} }} }} }}" for n in range(15)) + " }"  # fmt: skip
PROPOSAL = 'proposal(input: {symbol: "R_100", side: CALL, stake: "1", duration: 5}) { __typename }'
PAGE = "query($n: Int%s) { trades(first: $n) { edges { node { account { balance { amount currency } held { amount } } instrument { name symbol kind pip isOpen tickSeconds minStake maxStake minTicks maxTicks minSeconds maxSeconds } stake { amount currency } payout { amount currency } profit { amount currency } } } } %s }"  # fmt: skip
OVER = " ".join(f"p{n}: {PROPOSAL}" for n in range(12))


@pytest.mark.parametrize(
    ("bomb", "of"),
    [
        ("{ me { clients " + "{ clients " * 9 + "{ name }" + " }" * 9 + " } }", "depth"),
        ("{ trades " * 700 + "{ id }" + " }" * 700, "depth"),
        ("{ a" * 480 + " }" * 480, "depth"),
        ("{ trades(filter: " + "[" * 1000 + " ) { edges { cursor } } }", "depth"),
        ("{ " + " ".join(f"a{n}: me {{ id }}" for n in range(16)) + " }", "aliases"),
        (ALIASES_IN_FRAGMENTS, "aliases"),
        ("{ me { " + "id " * 1400 + "} }", "breadth"),
        ("{ me { " + "... on Me { id name email } " * 100 + "} }", "breadth"),
        ("{ me { " + "id " * 2000 + "} }", "tokens"),
        ("#\n" * 2000 + "{ me { id } }", "tokens"),
        (EXPONENTIAL, "breadth"),
        (PAGES, "cost"),
        ("{ " + OVER + " }", "cost"),
        ("mutation { " + " ".join(f'a{n}: logIn(email: "a", password: "b") {{ __typename }}' for n in range(4)) + " }", "cost"),
    ],
    ids=[
        "deep", "deeper", "deepest", "nested values", "aliases", "aliases in fragments", "wide", "wide in fragments",
        "tokens", "comments", "exponential fragments", "pages", "questions to the venue", "guesses in one request",
    ],
)  # fmt: skip
def test_a_bomb_is_refused_with_what_it_has_too_much_of(bomb, of):
    answer = App().ask(bomb)
    (error,) = answer["errors"]
    assert answer["data"] is None
    assert error["extensions"]["code"] == "TOO_COSTLY"
    assert error["extensions"]["of"] == of
    assert error["extensions"]["cost"] > error["extensions"]["limit"]


def test_fragments_in_a_circle_are_refused_as_the_mistake_they_are():
    answer = App().ask("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A me { id } }")
    assert "within itself" in answer["errors"][0]["message"]
    assert answer["data"] is None


@pytest.mark.parametrize("size", [{"n": 100}, {"n": 10**30}])
def test_a_page_s_size_counts_wherever_it_is_given(size):
    two = "more: trades(last: $n) { edges { node { account { balance { amount currency } held { amount } } instrument { name symbol kind pip isOpen tickSeconds minStake maxStake } stake { amount currency } why state } } }"  # fmt: skip
    three = " ".join(two.replace("more", name) for name in ("more", "most", "all", "rest"))
    answer = App().ask(PAGE % ("", three), **size)
    assert answer["errors"][0]["extensions"]["code"] == "TOO_COSTLY"
    assert App().code(PAGE % (" = 100", three)) == "TOO_COSTLY", "as the variable's default"
    assert App().code(PAGE % ("", three), n=5) == "NOT_AUTHENTICATED", "small pages are not too much"
    assert App().code(PAGE % ("", three)) == "NOT_AUTHENTICATED", "nor is the page that nobody gave a size"


def test_a_page_inside_a_fragment_costs_what_it_costs_outside():
    def measured(text):
        document = parse(text)
        (operation,) = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
        return cost.Measure(schema._schema, cost.fragments_of(document), {}).of(operation).cost

    outside = measured("{ trades(first: 100) { edges { node { id why } } } }")
    inside = measured(
        "{ trades(first: 100) { ...P } } fragment P on TradeConnection { edges { ...E } } fragment E on TradeEdge { node { id why } }"
    )
    assert inside == outside == 1 + 1 + 100 * 3


def test_what_the_reference_client_and_the_pages_ask_is_never_too_much():
    texts = dict(persisted.registered())
    blocks = re.findall(r"```graphql\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)
    operations = [
        one
        for block in blocks
        for one in re.split(r"(?m)^(?=mutation|query|subscription)", block)
        if one.strip()
    ]
    assert len(texts) >= 15 and len(operations) >= 4
    for text in [*texts.values(), *operations]:
        prepared = preparation._prepared(text, schema)
        assert prepared.errors == [], text
        for operation in prepared.document.definitions:
            if isinstance(operation, OperationDefinitionNode):
                fragments = cost.fragments_of(prepared.document)
                cost.check(cost.Measure(schema._schema, fragments, None).of(operation))


def test_everything_there_is_to_know_of_a_full_page_of_trades_may_be_asked():
    def fields(kind, depth):
        return " ".join(
            f"{name} {{ {fields(of, depth - 1)} }}" if hasattr(of, "fields") else name
            for name, field in kind.fields.items()
            for of in [schema._schema.get_type(str(field.type).strip("[]!"))]
            if depth or not hasattr(of, "fields")
        )

    trade = fields(schema._schema.get_type("Trade"), 2)
    assert (
        App().code(f"{{ trades(first: 100) {{ edges {{ cursor node {{ {trade} }} }} }} }}")
        == "NOT_AUTHENTICATED"
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (json.dumps([{"query": "{ me { id } }"}] * 1000), 400, "BATCHING_OFF"),
        (
            json.dumps({"query": "query($a: String) { me { id } }", "variables": {"a": "x" * 1_000_000}}),
            413,
            "TOO_LARGE",
        ),
        ("[" * 100_000, 400, "BAD_REQUEST"),
        ('{"query": "{ me { id } }", "variables": ' + '{"a":' * 50_000, 400, "BAD_REQUEST"),
        ('{"query": "{ me { id } }", "variables": {"n": ' + "9" * 10_000 + "}}", 400, "BAD_REQUEST"),
        ('{"query": {"a": 1}}', 400, "INVALID_INPUT"),
        ('{"query": "{ me { id } }", "variables": []}', 400, "INVALID_INPUT"),
        ('{"query": "{ me { id } }", "operationName": 7}', 400, "INVALID_INPUT"),
        ('{"query": "{ me { id } }", "operationName": "Other"}', 400, "BAD_REQUEST"),
        ('{"query": "subscription { tradeChanges { cursor } }"}', 200, "WRONG_TRANSPORT"),
        ('{"variables": {}}', 400, "INVALID_INPUT"),
        ('"a text"', 400, "INVALID_INPUT"),
        (b"\xff\xfe", 400, "BAD_REQUEST"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isupper() else "",
)
def test_a_request_that_is_none_gets_a_typed_answer(body, status, code, caplog):
    answer = Client().post("/graphql/", body, content_type="application/json")
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (status, code)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "a\\u0000b"])
def test_a_character_that_cannot_be_stored_is_refused_before_it_is_looked_for(text, caplog):
    query = 'mutation($e: String!) { logIn(email: $e, password: "x") { ... on Problem { code } } }'
    body = {"query": query, "variables": {"e": text}}
    if text.isascii() and "\\u" in text:
        body = {"query": query.replace("$e: String!", "").replace("()", "").replace("$e", f'"{text}"')}
    answer = Client().post("/graphql/", json.dumps(body), content_type="application/json")
    assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("query", ["{ me { id } }", "mutation { logOut { __typename } }"])
def test_nothing_is_asked_in_the_address(query):
    answer = Client().get("/graphql/", {"query": query})
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (
        405,
        "METHOD_NOT_ALLOWED",
    )


def test_files_are_not_taken():
    with open(__file__, "rb") as file:
        answer = Client().post("/graphql/", {"operations": "{}", "map": "{}", "0": file})
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (415, "UPLOADS_OFF")


def test_without_introspection_the_schema_is_neither_told_nor_guessed_at(settings):
    settings.CONFIG = settings.CONFIG.model_copy(update={"graphql_introspection": False})
    for query in ("{ __schema { types { name } } }", '{ __type(name: "Trade") { name } }'):
        answer = App().ask(query + " #1")
        assert answer["data"] is None and "introspection" in answer["errors"][0]["message"]
    (error,) = App().ask("{ tradez { id } }")["errors"]
    assert "Did you mean" not in error["message"] and "tradez" in error["message"]
    assert Client().get("/graphql/", headers={"Accept": "text/html"}).status_code == 404


def test_what_is_kept_of_documents_is_bounded():
    for number in range(cost.MAX_ALIASES * 100):
        preparation.prepare(f"{{ me {{ id{' ' * 300} a{number}: name }} }}", schema)
    assert len(preparation._kept) <= preparation.MOST
    assert sum(len(text) for _, text in preparation._kept) <= preparation.ROOM
