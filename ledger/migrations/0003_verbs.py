"""The functions behind `journal` and `holds`: each verb is one call."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_guards")]

    operations = [
        migrations.RunSQL([(SQL / "0003_journal.sql").read_text()]),
        migrations.RunSQL([(SQL / "0003_holds.sql").read_text()]),
    ]
