"""Documents registered ahead: an app asks for one by its id, and nothing of it need be sent, read or checked again.

They are the `.graphql` files of `graphql_api/documents/`, one operation each with the fragments it uses, and of the
folder that GRAPHQL_DOCUMENTS names. An id is the SHA-256 of the file's text, as `sha256:…` or the bare digits. With
GRAPHQL_PERSISTED_ONLY nothing else is answered.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final

from django.conf import settings

from backoffice.errors import DomainError, InvalidInput

# What no database column and no log takes: in a text, the escapes of the character zero.
_ZERO: Final = re.compile(r"\x00|\\u(?:0000|\{0+\})")
OWN: Final = Path(__file__).resolve().parent / "documents"


class UnknownDocument(DomainError):
    """No document of this id is registered. Registering one by asking for it is not offered."""

    code: ClassVar[str] = "PERSISTED_QUERY_NOT_FOUND"
    field = "document_id"


class OnlyPersisted(DomainError):
    """This deployment answers registered documents alone."""

    code: ClassVar[str] = "PERSISTED_QUERY_ONLY"


def id_of(text: str) -> str:
    """The id under which a document of this text is asked for."""
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=4)
def _read(folder: str) -> Mapping[str, str]:
    texts = [path.read_text() for path in sorted(Path(folder).glob("*.graphql"))]
    return {id_of(text): text for text in texts}


def registered() -> Mapping[str, str]:
    """Every registered document by its id; read once by each process."""
    further = settings.CONFIG.graphql_documents
    return {**_read(str(OWN)), **_read(str(further))} if further else _read(str(OWN))


def ids() -> dict[str, str]:
    """Our own documents: what each is called, and its id."""
    return {path.stem: id_of(path.read_text()) for path in sorted(OWN.glob("*.graphql"))}


def is_registered(text: str) -> bool:
    """Whether exactly this text is a registered document."""
    return id_of(text) in registered()


def asked(payload: Any) -> dict[str, Any]:
    """What a request or a subscription asks: its `query`, be it given or named, with everything of the right kind.

    :raises InvalidInput: if a part of it is not what it has to be.
    :raises UnknownDocument: if no document is registered under the id.
    :raises OnlyPersisted: if it gives a text where only registered documents are answered.
    """
    if not isinstance(payload, dict):
        raise InvalidInput("A request is an object.")
    for name, kind in {
        "query": str,
        "variables": dict,
        "operationName": str,
        "extensions": dict,
        "documentId": str,
    }.items():
        if payload.get(name) is not None and not isinstance(payload[name], kind):
            raise InvalidInput(f"`{name}` is of the wrong type.", field=name)
    named = _named(payload)
    text = payload.get("query") or ""
    if named:
        found = registered().get(named)
        if found is None and not text:
            raise UnknownDocument("No document is registered under this id.")
        text = found or text
    if not text.strip():
        raise InvalidInput("There is no query, and no id of a registered one.", field="query")
    if _ZERO.search(text) or not _is_text(text) or not _are_texts(payload.get("variables")):
        raise InvalidInput("A text holds a character that is none.")
    if settings.CONFIG.graphql_persisted_only and not is_registered(text):
        raise OnlyPersisted("Only registered documents are answered here.")
    return {**payload, "query": text}


def _named(payload: dict[str, Any]) -> str:
    apollo = (payload.get("extensions") or {}).get("persistedQuery")
    given = payload.get("documentId") or (apollo.get("sha256Hash") if isinstance(apollo, dict) else "")
    return str(given or "").removeprefix("sha256:").lower()


def _are_texts(value: Any) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if "\x00" in one or not _is_text(one):
                return False
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
    return True


def _is_text(value: str) -> bool:
    """Half a surrogate pair can be sent, but not stored."""
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def decoded(data: str | bytes) -> Any:
    """JSON as it was sent. :raises json.JSONDecodeError: also for what only breaks the reader: depth, endless numbers."""
    try:
        return json.loads(data)
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError):
        raise json.JSONDecodeError("This is not JSON that anybody needs.", "", 0) from None
