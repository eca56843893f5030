"""`manage.py rotate_secrets`: every stored secret, sealed with the newest key of FIELD_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backoffice import rotation


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret anew with the first key of FIELD_KEYS. May be interrupted and run again; "
        "afterwards the other keys can be taken off the list."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        unreadable = 0
        for counted in rotation.rotate():
            unreadable += counted.unreadable
            line = f"{counted.column}: {counted.resealed} encrypted anew, {counted.current} were current"
            self.stdout.write(f"{line}, {counted.unreadable} unreadable" if counted.unreadable else line)
        if unreadable:
            raise CommandError(
                f"{unreadable} secrets can be read with no key of FIELD_KEYS; none was changed."
            )
