"""Sealing every stored secret with the newest key, so that older keys can be taken off the list."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db import models, transaction
from django.db.models import F, TextField, Value
from django.db.models.functions import Cast

from backoffice.secrets import EncryptedField, UnreadableSecret, is_newest, reseal

BATCH = 500


@dataclass(slots=True)
class Counted:
    """What became of the secrets in one column: sealed anew, sealed with the newest key already, readable by no key."""

    column: str
    resealed: int = 0
    current: int = 0
    unreadable: int = 0


def columns() -> list[tuple[type[models.Model], str]]:
    """Every encrypted column of every model, in the order of their names."""
    found = [
        (model, field.name)
        for model in apps.get_models()
        for field in model._meta.local_concrete_fields
        if isinstance(field, EncryptedField)
    ]
    return sorted(found, key=lambda one: (one[0]._meta.label, one[1]))


def rotate(*, batch: int = BATCH) -> Iterator[Counted]:
    """Seal every secret anew that an older key sealed, a batch a transaction; what it did, column by column.

    What was done stays done if it is interrupted, and running it again goes on. Each batch locks its rows, so a secret
    that changes meanwhile is not overwritten. No secret and no history is written anywhere else.
    """
    for model, name in columns():
        yield _rotate_column(model, name, batch)


def _rotate_column(model: type[models.Model], name: str, batch: int) -> Counted:
    counted, last = Counted(f"{model._meta.label}.{name}"), None
    manager = model._base_manager
    while True:
        with transaction.atomic():
            rows = manager.annotate(sealed=Cast(F(name), TextField())).exclude(sealed="").order_by("pk")
            if last is not None:
                rows = rows.filter(pk__gt=last)
            page = list(rows.select_for_update(of=("self",), no_key=True).values_list("pk", "sealed")[:batch])
            for pk, sealed in page:
                _rotate_one(manager, counted, name, pk, sealed)
        if len(page) < batch:
            return counted
        last = page[-1][0]


def _rotate_one(
    manager: "models.Manager[models.Model]", counted: Counted, name: str, pk: object, sealed: str | None
) -> None:
    if sealed is None:
        return
    if is_newest(sealed):
        counted.current += 1
        return
    try:
        fresh = reseal(sealed)
    except UnreadableSecret:
        counted.unreadable += 1
        return
    # Written as it is: the column would seal it a second time.
    manager.filter(pk=pk).update(**{name: Value(fresh, output_field=TextField())})
    counted.resealed += 1
