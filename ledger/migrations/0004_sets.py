"""Posting and its guards for sets of entries; a posting's foreign keys become what the guards keep (decision 15)."""

from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_verbs")]

    operations = [
        migrations.RunSQL([(SQL / "0004_guards.sql").read_text()]),
        migrations.RunSQL([(SQL / "0004_journal.sql").read_text()]),
        migrations.AlterField(
            "posting", "entry",
            models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="postings", to="ledger.entry"),
        ),
        migrations.AlterField(
            "posting", "account",
            models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="postings", to="ledger.account"),
        ),
    ]
