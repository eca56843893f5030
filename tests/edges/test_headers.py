"""What browsers are told: who may read answers from elsewhere, what a page may load, what is kept."""

import gzip
import subprocess
import sys

import pytest
from django.test import Client

from backoffice import headers
from backoffice.configuration import ROOT
from tests import world

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
QUERY = {"query": "{ me { id } }"}
APP, FOREIGN = "https://app.example", "https://elsewhere.example"


def ask(origin="", **given):
    sent = {"Origin": origin} if origin else {}
    return Client().post("/graphql/", QUERY, content_type="application/json", headers={**sent, **given})


@pytest.fixture
def listed(settings):
    settings.CORS_ALLOWED_ORIGINS = [APP]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (APP, APP),
        (FOREIGN, None),
        ("null", None),
        (f"{APP}.evil.example", None),
        ("http://app.example", None),
    ],
)
def test_only_a_listed_origin_may_read_what_the_api_answers(listed, origin, allowed):
    answer = ask(origin)
    assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    assert "Access-Control-Allow-Credentials" not in answer.headers, "no cookie speaks for anybody"
    assert "origin" in answer.headers["Vary"].lower()


def test_a_preflight_says_what_may_be_sent(listed):
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    answer = Client().options("/graphql/", headers={"Origin": APP, **asked})
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert answer.headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"
    foreign = Client().options("/graphql/", headers={"Origin": FOREIGN, **asked})
    assert not [name for name in foreign.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", "/client/", "/metrics", "/health/live", "/"])
def test_nothing_but_the_api_answers_another_origin(listed, path):
    for answer in (
        Client().get(path, headers={"Origin": APP}),
        Client().options(path, headers={"Origin": APP, "Access-Control-Request-Method": "POST"}),
    ):
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


def test_an_answer_of_the_api_is_data_and_kept_by_nobody():
    for answer in (ask(), Client().post("/graphql/", "[", content_type="application/json")):
        assert answer.headers["Content-Security-Policy"] == headers.DATA_POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("path", ["/admin/login/", "/client/", "/graphql/"])
def test_no_page_loads_anything_from_another_origin(path):
    answer = Client().get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "http:" not in policy and "https:" not in policy and "*" not in policy
    assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert ("'unsafe-inline'" in policy.partition("script-src")[2]) == path.startswith("/admin/")


def test_the_console_s_pages_have_the_console_s_policy():
    client = Client()
    client.force_login(world.staff("Administrator"))
    for path in ("/admin/", "/admin/backoffice/mail/", "/admin/nothing/here/"):
        assert client.get(path, follow=True).headers["Content-Security-Policy"] == headers.CONSOLE_POLICY


def test_a_long_answer_is_compressed_for_whoever_takes_it():
    body = {"query": "{ __schema { types { name fields { name } } } }"}
    answer = Client().post(
        "/graphql/", body, content_type="application/json", headers={"Accept-Encoding": "gzip"}
    )
    assert answer.headers["Content-Encoding"] == "gzip"
    assert b'"__schema"' in gzip.decompress(answer.content)
    assert len(answer.content) * 3 < len(gzip.decompress(answer.content))


def test_in_production_static_files_are_named_for_their_content_and_kept_for_good(tmp_path):
    """Collected and asked for as production does, in a process of its own: settings are read once."""
    program = """
import django, sys
django.setup()
from django.conf import settings
settings.STATIC_ROOT = sys.argv[1]
from django.core.management import call_command
call_command("collectstatic", verbosity=0, interactive=False)
from django.templatetags.static import static
from django.test import Client
url = static("client/client.js")
assert url != "/static/client/client.js", url
answer = Client().get(url, headers={"Host": "office.example"})
print(answer.status_code, answer.headers["Cache-Control"])
print(Client().get("/static/client/client.js", headers={"Host": "office.example"}).headers["Cache-Control"])
"""
    environment = {
        "PATH": "/usr/bin:/bin", "DJANGO_SETTINGS_MODULE": "backoffice.settings", "MODE": "production",
        "SECRET_KEY": "k" * 50, "FIELD_KEYS": "f" * 44, "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0", "PUBLIC_URL": "https://office.example", "ALLOWED_HOSTS": "office.example",
        "DERIV_URL": "wss://venue.example/", "METRICS_TOKEN": "m" * 32, "TRUSTED_PROXIES": "10.0.0.0/8",
        "EMAIL_URL": "smtp://127.0.0.1:1", "DATA_DIR": str(tmp_path / "data"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "static")],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    hashed, plain = done.stdout.splitlines()
    assert hashed.startswith("200 ") and "immutable" in hashed and "max-age=315360000" in hashed
    assert "immutable" not in plain
