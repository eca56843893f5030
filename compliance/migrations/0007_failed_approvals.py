"""What could not be done after it was agreed to waits: it is tried again, called off, or ends by itself."""

from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("compliance", "0006_debt_condition")]

    operations = [
        migrations.RemoveIndex(model_name="approval", name="approval_due"),
        migrations.AddIndex(
            model_name="approval",
            index=models.Index(
                condition=models.Q(("state__in", ["open", "approved", "failed"])), fields=["expires_at"], name="approval_due"
            ),
        ),
        migrations.RunSQL([(SQL / "0007_approvals.sql").read_text()]),
    ]
