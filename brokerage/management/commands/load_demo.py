"""`manage.py load_demo`: demo staff and clients, made through the same verbs as anybody else."""

import secrets
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

import fixtures
from backoffice.configuration import configuration
from backoffice.models import Currency, User
from backoffice.who import By
from brokerage import limits
from brokerage.models import Instrument, TradeLimit
from compliance import clients
from compliance.models import Client, Desk
from ledger import demo_transfers, demo_withdrawals
from ledger.bank import demo


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
        made += _limit_everyone(now)
        emails = [row["email"] for row in data["clients"]]
        people = [Client.objects.get(membership__user__email=email) for email in emails]
        made += demo.load(people, at=now)
        made += demo_withdrawals.load(people, at=now)
        maker = User.objects.get(email__iexact=data["logins"][0]["email"])
        made += demo_transfers.load(people, maker=By.user(maker), at=now)
        self.stdout.write(f"{made} demo records made." if made else "Demo data is there.")


def _limit_everyone(now: datetime) -> int:
    """A limit for every client, so that the page has one to show; set once, whatever staff make of it later."""
    if TradeLimit.objects.exists():
        return 0
    dollars = Currency.objects.get(code="USD")
    maxima = limits.Maxima(stake="500.00", open_stake="5000.00", per_minute=60)
    limits.change(
        None, None, dollars, maxima, by=By.system("demo"), at=now, key="demo-limit", reason="Set with the demo data."
    )  # fmt: skip
    return 1
