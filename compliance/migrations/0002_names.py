"""Finding clients by the beginning of a name, whatever its case, by index."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("compliance", "0001_clients")]

    operations = [
        migrations.RunSQL(
            f"CREATE INDEX client_{name} ON compliance_client (upper({name}::text) text_pattern_ops)",
            f"DROP INDEX client_{name}",
        )
        for name in ("first_name", "last_name")
    ]
