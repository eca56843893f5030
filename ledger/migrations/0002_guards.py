"""Triggers that hold the ledger together, and append-only journal tables."""

from pathlib import Path

from django.db import migrations

from backoffice.database import append_only

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_ledger"), ("backoffice", "0002_append_only")]

    operations = [
        migrations.RunSQL([(SQL / "0002_guards.sql").read_text()]),
        migrations.RunSQL([append_only("ledger_entry") + append_only("ledger_posting")]),
    ]
