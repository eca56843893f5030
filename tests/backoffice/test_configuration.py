"""Production does not start on anything unsafe; each danger has its own sentence."""

import subprocess
import sys
from typing import Any

import pytest

from backoffice.configuration import ROOT, Configuration
from backoffice.documents import configuration as documented

SAFE: dict[str, Any] = {
    "mode": "production",
    "debug": False,
    "secret_key": "k" * 50,
    "field_keys": "f" * 44,
    "database_url": "postgres://db/nexus",
    "redis_url": "redis://cache/0",
    "allowed_hosts": "office.example",
    "cors_origins": "https://app.example",
    "public_url": "https://office.example",
    "deriv_url": "wss://venue.example/websockets/v3",
    "metrics_token": "m" * 32,
    "trusted_proxies": "10.0.0.0/8",
    "rate_limits": "",
    "email_url": "smtps://user:secret@mail.example:465",
}


def test_a_safe_production_has_no_dangers() -> None:
    assert Configuration(**SAFE).dangers() == []


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("debug", True, "DEBUG"),
        ("secret_key", "", "SECRET_KEY"),
        ("secret_key", "k" * 49, "SECRET_KEY"),
        ("field_keys", "", "FIELD_KEYS"),
        ("database_url", "", "DATABASE_URL"),
        ("redis_url", "", "REDIS_URL"),
        ("allowed_hosts", "office.example,*", "ALLOWED_HOSTS"),
        ("cors_origins", "*", "CORS_ORIGINS"),
        ("public_url", "http://office.example", "PUBLIC_URL"),
        ("public_url", "", "PUBLIC_URL"),
        ("deriv_url", "", "DERIV_URL"),
        ("deriv_redirect_urls", "https://app.example/,http://app.example/", "DERIV_REDIRECT_URLS"),
        ("metrics_token", "", "METRICS_TOKEN"),
        ("trusted_proxies", "", "TRUSTED_PROXIES"),
        ("rate_limits", "off", "RATE_LIMITS"),
        ("email_url", "", "EMAIL_URL"),
        ("staff_second_factor", False, "STAFF_SECOND_FACTOR"),
    ],
)
def test_each_danger_is_refused_with_one_sentence_that_names_the_setting(
    setting: str, value: Any, named: str
) -> None:
    dangers = Configuration(**SAFE | {setting: value}).dangers()
    assert len(dangers) == 1
    assert dangers[0].startswith(named)


def test_an_unsafe_production_ends_at_once_listing_every_reason_and_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "MODE": "production", "DEBUG": "true", "ALLOWED_HOSTS": "*"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Not starting in production" in done.stderr
    assert "DEBUG is on" in done.stderr and "ALLOWED_HOSTS contains" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_setting_is_documented() -> None:
    page = documented()
    for name, field in Configuration.model_fields.items():
        assert f"`{name.upper()}`" in page
        assert field.description
