"""`manage.py load_roles`: the roles and currencies a deployment starts with."""

from typing import Any

from django.core.management.base import BaseCommand

import fixtures
from backoffice import roles
from backoffice.models import Currency


class Command(BaseCommand):
    help = "Make the roles and currencies that do not exist yet. Nothing that exists is changed."

    def handle(self, *args: Any, **options: Any) -> None:
        made = roles.load()
        for row in fixtures.read("currencies")["currencies"]:
            if not Currency.objects.filter(code=row["code"]).exists():
                Currency.objects.create(**row)
                made.append(row["code"])
        self.stdout.write(f"Made: {', '.join(made)}." if made else "Nothing to make.")
