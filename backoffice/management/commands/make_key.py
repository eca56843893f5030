"""`manage.py make_key`: a fresh key for FIELD_KEYS."""

import secrets
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = (
        "Print a fresh random key for FIELD_KEYS. To rotate, put it first, before a comma and the keys in use: "
        "the first encrypts, every listed one decrypts."
    )
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(secrets.token_urlsafe(32))
