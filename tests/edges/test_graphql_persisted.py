"""Documents registered ahead: asked for by their id, over HTTP and in the shape of two dialects."""

import json

import pytest
from django.test import Client

from graphql_api import persisted, preparation
from graphql_api.schema import schema
from tests import world
from tests.edges.api import App

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


def ask(app, **body):
    headers = {"Authorization": f"Bearer {app.access}"} if app else {}
    return Client().post("/graphql/", json.dumps(body), content_type="application/json", headers=headers)


@pytest.fixture
def app():
    return App().log_in(world.client().user.email)


@pytest.mark.parametrize("prefix", ["", "sha256:"])
def test_a_registered_document_is_answered_by_its_id(app, prefix):
    answer = ask(app, documentId=prefix + persisted.ids()["Me"])
    assert answer.json()["data"]["me"]["name"] == "Amina Odhiambo"


def test_so_it_is_in_apollo_s_dialect_and_with_variables(app):
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": persisted.ids()["Trades"]}}
    answer = ask(app, extensions=extensions, variables={"first": 5})
    assert answer.json()["data"]["trades"]["edges"] == []


@pytest.mark.parametrize("unknown", ["0" * 64, "../../etc/passwd", "sha256:"])
def test_an_id_that_nobody_registered_is_refused_and_nothing_can_be_registered_by_asking(app, unknown):
    before = len(persisted.registered())
    answer = ask(app, documentId=unknown)
    assert answer.json()["errors"][0]["extensions"]["code"] in ("PERSISTED_QUERY_NOT_FOUND", "INVALID_INPUT")
    text = "{ me { email } }"
    ask(app, query=text, extensions={"persistedQuery": {"sha256Hash": persisted.id_of(text)}})
    again = ask(app, documentId=persisted.id_of(text))
    assert again.json()["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    assert len(persisted.registered()) == before


def test_where_only_registered_documents_are_answered_everything_else_is_refused(app, settings):
    settings.CONFIG = settings.CONFIG.model_copy(update={"graphql_persisted_only": True})
    assert (
        ask(app, query="{ me { email } }").json()["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_ONLY"
    )
    assert ask(app, documentId=persisted.ids()["Me"]).json()["data"]["me"]


def test_a_deployment_registers_documents_of_its_own_in_a_folder(app, settings, tmp_path):
    text = "query Mine { me { email } }"
    (tmp_path / "mine.graphql").write_text(text)
    settings.CONFIG = settings.CONFIG.model_copy(update={"graphql_documents": tmp_path})
    assert ask(app, documentId=persisted.id_of(text)).json()["data"]["me"]["email"]
    assert ask(app, documentId=persisted.ids()["Me"]).json()["data"]["me"]["name"]


def test_a_registered_document_is_read_checked_and_measured_once(app):
    ask(app, documentId=persisted.ids()["Trades"])
    text = persisted.registered()[persisted.ids()["Trades"]]
    first = preparation.prepare(text, schema)
    assert first.is_pinned
    ask(app, documentId=persisted.ids()["Trades"], variables={"first": 100})
    assert preparation.prepare(text, schema) is first


def test_the_reference_client_knows_the_ids_of_what_it_asks():
    page = Client().get("/client/").content.decode()
    source = (persisted.OWN.parent / "static" / "client" / "client.js").read_text()
    used = {name for name in persisted.ids() if f'"{name}"' in source}
    assert len(used) > 12
    assert all(persisted.ids()[name] in page for name in used)
