"""Idempotency keys: unique per actor and verb, with a hash of what was asked."""

import hashlib
import re
from datetime import datetime

from backoffice.errors import InvalidInput, KeyReused
from backoffice.models import RequestKey
from backoffice.who import By


def check(key: str) -> None:
    """:raises InvalidInput: if a key is not 1 to 100 printable characters without spaces."""
    if not re.fullmatch(r"[\x21-\x7e]{1,100}", key):
        raise InvalidInput("A key is 1 to 100 printable characters without spaces.", field="key")


def is_claimed(*, by: By, verb: str, key: str) -> bool:
    """Whether this actor has used the key on this verb. Ask under the lock that the verb holds."""
    return RequestKey.objects.filter(by=by.name, verb=verb, key=key).exists()


def claim(*, by: By, verb: str, key: str, content: str, at: datetime) -> None:
    """Keep the key with what it asks for, in the caller's transaction. The same again changes nothing.

    Two at once: the second waits for the first to commit, then finds its key.

    :raises InvalidInput: if it is not a key.
    :raises KeyReused: if this actor used it on this verb for something else.
    """
    check(key)
    digest = hashlib.sha256(content.encode()).hexdigest()
    row = RequestKey(by=by.name, verb=verb, key=key, content_hash=digest, at=at)
    RequestKey.objects.bulk_create([row], ignore_conflicts=True)
    found = RequestKey.objects.get(by=by.name, verb=verb, key=key)
    if found.content_hash != digest:
        raise KeyReused("This key was used before for something else.")
