"""Where the embedded servers listen: Unix sockets in a short, private folder."""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from backoffice.embedded.processes import EmbeddedServerError

# A socket's whole path must fit 104 bytes (macOS; Linux has 108); PostgreSQL appends `/.s.PGSQL.5432`.
_LONGEST_FOLDER = 85
# URL parsers disagree about anything else in a host part, so such folders are not put into URLs at all.
_PLAIN = re.compile(r"[A-Za-z0-9/_.-]+")


def socket_dir(data_dir: Path) -> Path:
    """The folder of both sockets: `<data_dir>/run`, or a private one under `/tmp` where that path is unfit.

    Always the same answer for the same folder and user, whatever TMPDIR says.
    """
    inside = Path(os.path.abspath(data_dir)) / "run"
    if len(os.fsencode(inside)) <= _LONGEST_FOLDER and _PLAIN.fullmatch(str(inside)):
        return inside
    temporary = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    name = hashlib.sha256(os.fsencode(inside)).hexdigest()[:12]
    return temporary / f"nexus-{os.geteuid()}-{name}"


def redis_socket(data_dir: Path) -> Path:
    """Where the embedded Redis of this data folder listens."""
    return socket_dir(data_dir) / "redis.sock"


def postgres_socket(data_dir: Path) -> Path:
    """Where the embedded PostgreSQL of this data folder listens."""
    return socket_dir(data_dir) / ".s.PGSQL.5432"


def make_socket_dir(data_dir: Path, owner: tuple[int, int] | None) -> Path:
    """Make the folder, readable by its owner alone. One that exists already is checked, since `/tmp` is shared.

    :raises EmbeddedServerError: if somebody else made that folder.
    """
    path = socket_dir(data_dir)
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    allowed = {os.geteuid(), owner[0] if owner else os.geteuid()}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in allowed:
        raise EmbeddedServerError(
            f"{path} belongs to another user. Remove it, or set DATA_DIR to another folder."
        )
    path.chmod(0o700)
    if owner is not None:
        os.chown(path, *owner)
    return path
