"""Finding users by the beginning of their e-mail address, whatever its case, by index."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("backoffice", "0004_request_keys")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX user_email_prefix ON backoffice_user (upper(email::text) text_pattern_ops)",
            "DROP INDEX user_email_prefix",
        )
    ]
