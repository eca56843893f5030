"""The command that makes keys for secrets at rest."""

import io
import re

import pytest
from django.core.management import call_command

from backoffice import secrets
from backoffice.configuration import configuration


def make_key() -> str:
    printed = io.StringIO()
    call_command("make_key", stdout=printed)
    return printed.getvalue()


def test_a_key_is_one_line_of_43_characters_that_fit_an_environment_variable():
    printed = make_key()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", printed)


def test_no_key_is_made_twice():
    assert len({make_key() for _ in range(50)}) == 50


def test_a_fresh_key_in_front_reads_what_older_keys_sealed_and_seals_anew(monkeypatch):
    config = configuration()
    old, new = make_key().strip(), make_key().strip()

    def with_keys(keys: str) -> None:
        monkeypatch.setattr(config, "field_keys", keys)
        secrets._cipher.cache_clear()

    try:
        with_keys(old)
        sealed_before = secrets.seal("a venue's token")
        with_keys(f"{new},{old}")
        assert secrets.unseal(sealed_before) == "a venue's token"
        sealed_after = secrets.seal("another token")
        with_keys(new)
        assert secrets.unseal(sealed_after) == "another token"
        with pytest.raises(secrets.UnreadableSecret):
            secrets.unseal(sealed_before)
    finally:
        secrets._cipher.cache_clear()
