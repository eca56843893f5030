"""What a second factor is made of: time steps (RFC 6238: six digits, thirty seconds, SHA-1) and recovery codes."""

import hashlib
import hmac
import secrets
from datetime import datetime
from io import BytesIO
from typing import Final

import pyotp
import segno

STEP_SECONDS: Final = 30
# Clocks of telephones differ: one step to either side is taken.
TOLERANCE: Final = 1
RECOVERY_CODES: Final = 10
ISSUER: Final = "Nexus Back Office"
# Without letters and digits that look alike.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"


def new_secret() -> str:
    """A secret for an authenticator app: 160 bits, in the base32 that people can type."""
    return pyotp.random_base32(32)


def step_of(at: datetime) -> int:
    """The number of the thirty seconds an instant lies in."""
    return int(at.timestamp()) // STEP_SECONDS


def code_for(secret: str, step: int) -> str:
    """The six digits an authenticator app shows in a step."""
    return pyotp.TOTP(secret).generate_otp(step)


def matching_step(secret: str, code: str, at: datetime) -> int | None:
    """The step a code belongs to, at most one away from now; None if it belongs to none. Compared in constant time."""
    now, found = step_of(at), None
    for step in range(now - TOLERANCE, now + TOLERANCE + 1):
        if hmac.compare_digest(code_for(secret, step).encode(), code.encode()):
            found = step
    return found


def plain(code: str) -> str:
    """A code as it was meant, without the spaces and dashes people type."""
    return "".join(code.split()).replace("-", "").lower()


def new_recovery_code() -> str:
    """Sixteen characters in groups of four, 79 bits: too many to guess, so a plain hash keeps it."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def digest(code: str, owner: str) -> str:
    """What is kept of a recovery code; the same code of two people is kept differently."""
    return hashlib.sha256(f"{owner}:{plain(code)}".encode()).hexdigest()


def address(secret: str, email: str) -> str:
    """The `otpauth:` address an authenticator app reads."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def drawn(text: str) -> str:
    """A text as a QR code: SVG to stand in a page, black on white in light and dark alike."""
    out = BytesIO()
    segno.make(text, error="m").save(
        out,
        kind="svg",
        scale=5,
        border=3,
        dark="#000",
        light="#fff",
        xmldecl=False,
        svgns=False,
        omitsize=False,
    )
    return out.getvalue().decode()
