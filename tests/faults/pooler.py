"""PgBouncer between a deployment and its PostgreSQL, a server connection lent for one transaction."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import psycopg2
from django.db import connection

from backoffice.embedded import privileges
from tests.running import Running, free_port, inside, until

PROGRAM = shutil.which(
    "pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin"
)
# So many sessions at the server serve everybody: fewer than the threads that ask, or nothing would be pooled.
POOL_SIZE: Final = 20
# As in docs/scale.md: what is otherwise said when a connection begins.
LIMITS: Final = (
    "statement_timeout = '30s'",
    "lock_timeout = '10s'",
    "timezone = 'UTC'",
    "join_collapse_limit = 4",
)


class Pooler:
    """A running PgBouncer."""

    def __init__(self, port: int, user: str) -> None:
        self._admin = f"postgres://{user}@127.0.0.1:{port}/pgbouncer"
        self.most_waiting = 0
        """The most clients ever seen waiting for a server connection at once."""

    def clients(self) -> int:
        """How many connections of ours it holds now."""
        with closing(psycopg2.connect(self._admin)) as admin:
            admin.autocommit = True
            with admin.cursor() as cursor:
                cursor.execute("SHOW POOLS")
                columns = [column.name for column in cursor.description or ()]
                rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        ours = [row for row in rows if row["database"] != "pgbouncer"]
        self.most_waiting = max(self.most_waiting, sum(row["cl_waiting"] for row in ours))
        return sum(row["cl_active"] + row["cl_waiting"] for row in ours)

    def answers(self) -> bool:
        try:
            self.clients()
        except psycopg2.OperationalError:
            return False
        return True


@contextmanager
def through_pooler(running: Running, blocker: Any) -> Iterator[Pooler]:
    """Have the processes that are started meanwhile reach the database through PgBouncer only."""
    assert PROGRAM is not None and running.servers is not None
    port, server = free_port(), running.database
    settings = running.servers / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n{server['NAME']} = host={server['HOST']} port={server['PORT'] or 5432} user={server['USER']}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"admin_users = {server['USER']}\npool_mode = transaction\ndefault_pool_size = {POOL_SIZE}\n"
        "max_client_conn = 1000\nlog_connections = 0\nlog_disconnections = 0\n"
    )
    settings.chmod(0o644)
    with inside(server, blocker), connection.cursor() as cursor:
        for limit in LIMITS:
            cursor.execute(f'ALTER ROLE "{server["USER"]}" SET {limit}')
    command = privileges.command(
        [PROGRAM, str(settings)], privileges.server_user(), [settings], dies_with_us=signal.SIGTERM
    )
    with (running.logs / "pgbouncer.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
    try:
        running.pooler = Pooler(port, server["USER"])
        until(running.pooler.answers, f"PgBouncer answers; see {running.logs}")
        running.environment["DATABASE_URL"] = f"postgres://{server['USER']}@127.0.0.1:{port}/{server['NAME']}"
        running.environment["DATABASE_POOLED"] = "true"
        yield running.pooler
    finally:
        process.terminate()
        process.wait(10)
