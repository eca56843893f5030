"""`manage.py remove_second_factor`: for the operator, when the last administrator can get in no more."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from backoffice.errors import DomainError
from backoffice.models import User
from backoffice.staff import locks, second_factor
from backoffice.who import By


class Command(BaseCommand):
    help = "Remove a member of staff's second factor and lift their lock; their sessions end, and they enroll anew."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--reason", required=True, help="kept with the event")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email__iexact=options["email"], kind=User.Kind.STAFF).first()
        if user is None:
            raise CommandError("Nobody who works here has this address. Nothing was changed.")
        by, now, reason, done = By.system("operator"), timezone.now(), options["reason"], []
        for verb, said in ((second_factor.remove, "second factor removed"), (locks.lift, "lock lifted")):
            try:
                verb(user, by=by, at=now, reason=reason)
            except DomainError:
                continue  # there was none: what was asked for is so
            done.append(said)
        self.stdout.write(
            f"{', '.join(done).capitalize() or 'There was neither a second factor nor a lock'}."
        )
