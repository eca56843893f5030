"""`manage.py load_roles`: the roles, currencies and other data a deployment starts with."""

from typing import Any

from django.core.management.base import BaseCommand

import fixtures
from backoffice import roles
from backoffice.models import Currency
from backoffice.starting_data import starting_data


class Command(BaseCommand):
    help = (
        "Make the roles, currencies, limits and rules that do not exist yet. Nothing that exists is changed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        made = roles.load()
        for row in fixtures.read("currencies")["currencies"]:
            if not Currency.objects.filter(code=row["code"]).exists():
                Currency.objects.create(**row)
                made.append(row["code"])
        for load in starting_data:
            made += load()
        self.stdout.write(f"Made: {', '.join(made)}." if made else "Nothing to make.")
