"""Control of the books: closed days, asserted balances, runs of invariants; entries of closed days are refused."""

from pathlib import Path

import backoffice.database
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0005_bank_and_deposits'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='InvariantOffender',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('invariant', models.CharField(max_length=48)),
                ('subject', models.CharField(blank=True, max_length=64)),
                ('subject_pk', models.CharField(blank=True, max_length=64)),
                ('says', models.CharField(max_length=300)),
                ('since', models.DateTimeField(help_text='Since when it is so, as far as is known.')),
                ('seen_at', models.DateTimeField()),
                ('gone_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(condition=models.Q(('gone_at', None)), fields=('invariant', 'subject', 'subject_pk'), name='invariant_offender_once')],
            },
        ),
        migrations.CreateModel(
            name='InvariantRun',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uuid', models.UUIDField(default=backoffice.database.uuid7, editable=False, unique=True, verbose_name='public id')),
                ('invariant', models.CharField(max_length=48)),
                ('at', models.DateTimeField()),
                ('took_ms', models.PositiveIntegerField()),
                ('found', models.PositiveIntegerField(help_text='How many break it.')),
                ('by', models.CharField(max_length=64)),
            ],
            options={
                'verbose_name': 'invariant',
                'permissions': [('run_invariants', 'Can have the invariants checked now')],
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['invariant', '-id'], name='invariant_run_latest')],
            },
        ),
        migrations.CreateModel(
            name='BalanceAssertion',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uuid', models.UUIDField(default=backoffice.database.uuid7, editable=False, unique=True, verbose_name='public id')),
                ('business_date', models.DateField(verbose_name='at the end of')),
                ('amount', backoffice.database.AmountField(decimal_places=18, max_digits=38, verbose_name='stands at')),
                ('found', backoffice.database.AmountField(decimal_places=18, max_digits=38, verbose_name='the books say')),
                ('source', models.CharField(blank=True, help_text='Where the figure is from.', max_length=120)),
                ('state', models.CharField(choices=[('holds', 'Holds'), ('fails', 'Fails'), ('resolved', 'Resolved')], default='holds', max_length=8)),
                ('entered_at', models.DateTimeField()),
                ('entered_by', models.CharField(max_length=64)),
                ('checked_at', models.DateTimeField()),
                ('changed_at', models.DateTimeField(help_text='Since when it holds, fails or is resolved.')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assertions', to='ledger.account')),
            ],
            options={
                'verbose_name': 'asserted balance',
                'permissions': [('enter_assertion', 'Can say what an account stands at'), ('resolve_assertion', 'Can resolve a balance that is not as asserted')],
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['state', 'business_date'], name='assertion_by_state')],
            },
        ),
        migrations.CreateModel(
            name='Closing',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uuid', models.UUIDField(default=backoffice.database.uuid7, editable=False, unique=True, verbose_name='public id')),
                ('book', models.CharField(choices=[('real', 'Real'), ('demo', 'Demo'), ('real_mirror', 'Real, held at a venue'), ('demo_mirror', 'Demo, held at a venue')], max_length=12)),
                ('business_date', models.DateField()),
                ('totals', models.JSONField()),
                ('entries', models.PositiveBigIntegerField(help_text='How many were booked on the day.')),
                ('hash', models.CharField(max_length=64)),
                ('closed_at', models.DateTimeField()),
                ('closed_by', models.CharField(max_length=64)),
                ('reopened_at', models.DateTimeField(blank=True, null=True)),
                ('reopened_by', models.CharField(blank=True, max_length=64)),
                ('closed_by_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('previous', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='next', to='ledger.closing', verbose_name='the close before')),
            ],
            options={
                'verbose_name': 'closed day',
                'permissions': [('close_day', 'Can close a day of a book'), ('reopen_day', 'Can reopen the last closed day of a book'), ('export_books', 'Can download the books and their reports')],
                'default_permissions': ('view',),
                'constraints': [models.UniqueConstraint(condition=models.Q(('reopened_at', None)), fields=('book', 'business_date'), name='closing_once'), models.UniqueConstraint(condition=models.Q(('previous', None)), fields=('book',), name='closing_begins_once')],
            },
        ),
        migrations.RunSQL([(SQL / "0006_control.sql").read_text()]),
        migrations.RunSQL([(SQL / "0006_journal.sql").read_text()]),
    ]
