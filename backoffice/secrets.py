"""Secrets at rest: encrypted with the newest key, decrypted with any key still listed."""

import base64
import hashlib
import hmac
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.core.exceptions import FieldError
from django.db import models

from backoffice.configuration import configuration


class UnreadableSecret(Exception):
    """The stored secret was encrypted with a key this deployment no longer has."""


@lru_cache(maxsize=1)
def _cipher() -> MultiFernet:
    return MultiFernet(_ciphers())


def _ciphers() -> list[Fernet]:
    """One for each listed key, the newest first."""
    keys = [key.strip() for key in configuration().field_keys.split(",") if key.strip()]
    return [Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest())) for key in keys]


def seal(text: str) -> str:
    """Text that only this deployment can read or make: for cursors and links that leave it."""
    return _cipher().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """What was sealed. :raises UnreadableSecret: if it was not sealed here."""
    try:
        return _cipher().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise UnreadableSecret("This was not sealed by this deployment.") from None


def fingerprint(purpose: str, text: str) -> str:
    """By what an encrypted value is found again without reading any: the same text for the same purpose, the same answer.

    Keyed (HMAC-SHA256), so that nobody without the key can try values out. The key is `INDEX_KEY`, and not one of those
    that are rotated.
    """
    key = hashlib.sha256(b"fingerprints:" + configuration().index_key.encode()).digest()
    return hmac.new(key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()


def is_newest(sealed: str) -> bool:
    """Whether it was sealed with the key that seals now."""
    try:
        _ciphers()[0].decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True


def reseal(sealed: str) -> str:
    """The same secret, sealed with the newest key. :raises UnreadableSecret: if no listed key opens it."""
    return seal(unseal(sealed))


class EncryptedField(models.TextField):
    """Text that only this deployment can read. It cannot be searched, exported, or kept in history.

    :raises UnreadableSecret: on reading, if no listed key decrypts it.
    """

    def get_prep_value(self, value: Any) -> Any:
        return seal(str(value)) if value else value

    def from_db_value(self, value: str | None, expression: object, connection: object) -> str | None:
        if not value:
            return value
        try:
            return unseal(value)
        except UnreadableSecret:
            raise UnreadableSecret(
                f"{self.model.__name__}.{self.name}: no key of FIELD_KEYS decrypts it."
            ) from None

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is encrypted and cannot be searched with “{lookup_name}”.")
        return super().get_lookup(lookup_name)
