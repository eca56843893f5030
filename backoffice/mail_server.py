"""Where mail goes: the one address in EMAIL_URL, in Django's words."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

TO_FOLDER: Final = "django.core.mail.backends.filebased.EmailBackend"
TO_SERVER: Final = "django.core.mail.backends.smtp.EmailBackend"
PORTS: Final = {"smtp": 25, "smtps": 465, "smtp+tls": 587}


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server; `is_tls` from the first byte, or it `begins_tls` after a word."""

    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    is_tls: bool = False
    begins_tls: bool = False


def mail_server(url: str) -> tuple[str, MailServer]:
    """Django's back end for an EMAIL_URL, and the server; without one mail is written into a folder.

    :raises ValueError: if it is not an address of a mail server.
    """
    if not url:
        return TO_FOLDER, MailServer()
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("EMAIL_URL is like smtps://user:password@host:465.")
    return TO_SERVER, MailServer(
        host=parts.hostname,
        port=parts.port or PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        is_tls=parts.scheme == "smtps",
        begins_tls=parts.scheme == "smtp+tls",
    )
