"""Running PostgreSQL when we are root, which it refuses to be.

The server runs as `nobody`. The project or its virtual environment may lie where `nobody` cannot go (`/root`
is 0700): then the server keeps one capability, reading past directory permissions (CAP_DAC_READ_SEARCH, or
CAP_DAC_OVERRIDE where a container grants only that). Its own files belong to `nobody`, so it needs no more,
and where every folder on the way is open to all it keeps none.
"""

import json
import os
import pwd
import stat
import sys
from pathlib import Path

from backoffice.embedded.processes import EmbeddedServerError

_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


def server_user() -> tuple[int, int] | None:
    """User and group the server must run as; None for "as we are" (we are not root)."""
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwnam("nobody")
    except KeyError as missing:
        raise EmbeddedServerError(
            "PostgreSQL does not run as root and this system has no user `nobody`. "
            "Run as an ordinary user, or set DATABASE_URL to a server."
        ) from missing
    return user.pw_uid, user.pw_gid


def _open_to_all(path: Path) -> bool:
    """True if any user may walk to this path."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def _capability_for(paths: list[Path]) -> int | None:
    """The capability the server needs to reach these paths as another user; None if it needs none."""
    closed = next((path for path in paths if not _open_to_all(path)), None)
    if closed is None:
        return None
    held = 0
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        held = int(next(line for line in status.splitlines() if line.startswith("CapPrm")).split()[1], 16)
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if held >> capability & 1:
            return capability
    raise EmbeddedServerError(
        f"PostgreSQL does not run as root, and user `nobody` cannot reach {closed}. Move the project to a folder every "
        "user may enter, run as an ordinary user, or set DATABASE_URL to a server."
    )


def command(
    program: list[str], user: tuple[int, int] | None, paths: list[Path], *, dies_with_us: int | None = None
) -> list[str]:
    """The command line that runs the program as the user, able to reach the paths.

    `dies_with_us` is the signal the program gets when the thread that starts it ends (Linux only). Only the process
    that called this may start it then.

    :raises EmbeddedServerError: if the user could not reach the paths at all.
    """
    if user is None and dies_with_us is None:
        return program
    wish = {
        "user": user[0] if user else None,
        "group": user[1] if user else 0,
        "capability": _capability_for(paths) if user else None,
        "dies_with_parent": dies_with_us,
        "parent": os.getpid(),
    }
    return [
        sys.executable,
        "-I",
        "-S",
        str(Path(__file__).with_name("launch.py")),
        json.dumps(wish),
        *program,
    ]
