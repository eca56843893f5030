"""`manage.py load_demo`: demo staff and clients, made through the same verbs as anybody else."""

import secrets
from typing import Any

from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

import fixtures
from backoffice.configuration import configuration
from backoffice.models import User
from backoffice.who import By
from brokerage.models import Instrument
from compliance import clients
from compliance.models import Client, Desk


class Command(BaseCommand):
    help = "Make the demo people, desks and instruments that do not exist yet. Demo mode only."

    def handle(self, *args: Any, **options: Any) -> None:
        if not configuration().demo:
            raise CommandError("Demo data has no place in production.")
        data, now, made = fixtures.read("demo"), timezone.now(), 0
        for row in fixtures.read("instruments")["instruments"]:
            made += Instrument.objects.get_or_create(symbol=row["symbol"], defaults=row)[1]
        passwords = {row["email"]: row["password"] for row in data["logins"]}
        for row in data["logins"]:
            if "roles" in row and not User.objects.filter(email__iexact=row["email"]).exists():
                user = User(
                    email=row["email"],
                    full_name=f"{row['what']} (demo)",
                    kind=User.Kind.STAFF,
                    is_superuser=row.get("superuser", False),
                )
                user.set_password(row["password"])
                user.save()
                user.groups.set(Group.objects.filter(name__in=row["roles"]))
                made += 1
        desks = [Desk.objects.get_or_create(name=name)[0] for name in data["desks"]]
        for number, row in enumerate(data["clients"]):
            if User.objects.filter(email__iexact=row["email"]).exists():
                continue
            password = passwords.get(row["email"]) or secrets.token_urlsafe(20)
            client = clients.open_client(**row, password=password, at=now, by=By.system("demo")).client
            Client.objects.filter(pk=client.pk).update(desk=desks[number % len(desks)])
            made += 1
        self.stdout.write(f"{made} demo records made." if made else "Demo data is there.")
