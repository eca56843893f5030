"""Staff may download the lists they see, and that they did stands in the log of accesses."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('backoffice', '0009_mail'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='access',
            options={'default_permissions': ('view',), 'permissions': [('export_lists', 'Can download the lists they see as CSV')], 'verbose_name_plural': 'accesses'},
        ),
        migrations.AlterField(
            model_name='access',
            name='what',
            field=models.CharField(choices=[('record', 'Opened'), ('edit', 'Opened to edit'), ('history', 'Read the changes of'), ('search', 'Found by searching'), ('view', 'Asked as the client'), ('export', 'Downloaded in a list')], max_length=8),
        ),
    ]
