"""Columns and helpers every app shares: exact numbers, public ids, who-columns, append-only tables."""

import secrets
import time
import uuid
from typing import Any

from django.db import models


def uuid7() -> uuid.UUID:
    """A time-ordered UUID (RFC 9562, version 7): what leaves through the API instead of a sequential id."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


class _Exact(models.DecimalField):
    """numeric(38,18): wide enough for any currency or instrument; exponents limit what may be booked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", 38)
        kwargs.setdefault("decimal_places", 18)
        super().__init__(*args, **kwargs)


class AmountField(_Exact):
    """An amount of money, in the currency that stands beside it."""


class QuantityField(_Exact):
    """How much of an instrument."""


class PriceField(_Exact):
    """A price: money for one unit of an instrument."""


class RateField(_Exact):
    """A ratio; 0.03 is three percent."""


class PublicIdModel(models.Model):
    """A row that outsiders may name: bigint inside, time-ordered UUID outside."""

    id = models.BigAutoField(primary_key=True)
    uuid = models.UUIDField("public id", unique=True, default=uuid7, editable=False)

    class Meta:
        abstract = True


# Refuses any change to rows of an append-only table, TRUNCATE included. `append_only("ledger_posting")` in a
# migration makes it so; the error arrives as IntegrityError.
APPEND_ONLY_FUNCTION = """
CREATE OR REPLACE FUNCTION backoffice_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'check_violation';
END $$;
"""


def append_only(table: str, *, operations: str = "UPDATE OR DELETE") -> str:
    """SQL that makes a table append-only: rows can be added, never changed, deleted or truncated."""
    return f"""
CREATE TRIGGER {table}_append_only BEFORE {operations} ON {table}
    FOR EACH ROW EXECUTE FUNCTION backoffice_refuse_change();
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION backoffice_refuse_change();
"""
