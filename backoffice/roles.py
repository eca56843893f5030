"""Roles as data: made from `fixtures/roles.json` on first start, edited in the console ever after."""

from fnmatch import fnmatchcase

from django.contrib.auth.models import Group, Permission
from django.db import transaction

import fixtures


def load() -> list[str]:
    """Make the roles that do not exist yet, with their permissions; returns the names made.

    A role that exists is left alone, whatever the file says: what staff changed in the console stands.
    """
    data = fixtures.read("roles")
    every = {
        f"{p.content_type.app_label}.{p.codename}": p
        for p in Permission.objects.select_related("content_type")
    }
    made = []
    with transaction.atomic():
        for role in data["roles"]:
            group, is_new = Group.objects.get_or_create(name=role["name"])
            if is_new:
                group.permissions.set(granted(role["may"], data["never"], every))
                made.append(group.name)
    return made


def granted(may: list[str], never: list[str], every: dict[str, Permission]) -> list[Permission]:
    """The permissions some patterns name, less those nobody ever holds by role."""
    return [
        permission
        for name, permission in every.items()
        if any(fnmatchcase(name, pattern) for pattern in may)
        and not any(fnmatchcase(name, pattern) for pattern in never)
    ]
