#!/usr/bin/env python
"""Django's command line for this project.

With DATABASE_URL or REDIS_URL unset the embedded servers run for as long as the command does.
"""

import os
import sys

# Commands that touch neither database nor Redis, or that see to the servers themselves.
WITHOUT_SERVERS = {
    *("help", "version", "check", "collectstatic", "deriv_simulator", "diffsettings"),
    *("export_schema", "make_key", "start", "stop", "write_docs"),
}


def serve_what_is_missing(command: str) -> None:
    """Start the embedded servers that this command will need."""
    if command.startswith("-") or command in WITHOUT_SERVERS:
        return
    from backoffice import embedded
    from backoffice.configuration import configuration

    config = configuration()
    postgresql, redis = not config.database_url, not config.redis_url
    if postgresql or redis:
        embedded.ensure(config.data_dir, postgresql=postgresql, redis=redis)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")
    from backoffice.configuration import UnsafeConfiguration
    from backoffice.embedded.processes import EmbeddedServerError

    try:
        if len(sys.argv) > 1 and not {"-h", "--help"} & set(sys.argv):
            serve_what_is_missing(sys.argv[1])
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except (EmbeddedServerError, UnsafeConfiguration) as refusal:
        sys.exit(str(refusal))


if __name__ == "__main__":
    main()
