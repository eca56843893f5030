"""What waits for others to agree to it, their votes, the policies, and what the database refuses of them."""

from pathlib import Path

import backoffice.database
import django.db.models.deletion
import simple_history.models
from django.conf import settings
from django.db import migrations, models

from backoffice.database import append_only

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('backoffice', '0009_mail'),
        ('compliance', '0003_see_as_client'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ApprovalPolicy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=40)),
                ('from_amount', backoffice.database.AmountField(decimal_places=18, default=0, help_text='Applies from this amount on.', max_digits=38, verbose_name='from')),
                ('approvers', models.PositiveSmallIntegerField(default=1, help_text='How many must agree, each another person than who asks. 0: done at once.')),
                ('hours', models.PositiveIntegerField(default=72, verbose_name='good for (hours)')),
                ('is_active', models.BooleanField(default=True, verbose_name='in force')),
                ('currency', models.ForeignKey(blank=True, help_text='Empty: any.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='backoffice.currency')),
                ('role', models.ForeignKey(blank=True, help_text='Empty: everybody who may decide this kind.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='auth.group')),
            ],
            options={
                'verbose_name_plural': 'approval policies',
                'constraints': [
                    models.UniqueConstraint(fields=('kind', 'currency', 'from_amount'), name='approval_policy_once', nulls_distinct=False),
                    models.CheckConstraint(condition=models.Q(('approvers__lte', 5)), name='approval_policy_0_to_5'),
                    models.CheckConstraint(condition=models.Q(('from_amount__gte', 0)), name='approval_policy_from'),
                    models.CheckConstraint(condition=models.Q(('hours__gte', 1), ('hours__lte', 8760)), name='approval_policy_hours'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Approval',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uuid', models.UUIDField(default=backoffice.database.uuid7, editable=False, unique=True, verbose_name='public id')),
                ('kind', models.CharField(max_length=40)),
                ('subject_type', models.CharField(max_length=32, verbose_name='about')),
                ('subject_id', models.UUIDField()),
                ('amount', backoffice.database.AmountField(decimal_places=18, max_digits=38, null=True)),
                ('title', models.CharField(max_length=200)),
                ('content', models.JSONField()),
                ('content_hash', models.CharField(max_length=64)),
                ('needed', models.PositiveSmallIntegerField(verbose_name='approvals needed')),
                ('state', models.CharField(choices=[('open', 'Open'), ('approved', 'Approved'), ('applied', 'Done'), ('rejected', 'Rejected'), ('voided', 'Voided'), ('expired', 'Expired'), ('failed', 'Approved, then refused')], default='open', max_length=8)),
                ('requested_by', models.CharField(max_length=64)),
                ('requested_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(null=True)),
                ('code', models.CharField(blank=True, max_length=64)),
                ('message', models.CharField(blank=True, max_length=500)),
                ('taken_until', models.DateTimeField(null=True)),
                ('client', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='approvals', to='compliance.client')),
                ('currency', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='backoffice.currency')),
                ('requested_by_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('role', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='auth.group')),
                ('taken_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('policy', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='compliance.approvalpolicy')),
            ],
            options={
                'permissions': [('decide_approval', 'Can approve and reject what others ask for')],
                'default_permissions': ('view',),
                'indexes': [
                    models.Index(condition=models.Q(('state', 'open')), fields=['id'], name='approval_open'),
                    models.Index(condition=models.Q(('state__in', ['open', 'approved'])), fields=['expires_at'], name='approval_due'),
                    models.Index(fields=['subject_id'], name='approval_by_subject'),
                    models.Index(fields=['client', '-id'], name='approval_by_client'),
                ],
                'constraints': [
                    models.UniqueConstraint(condition=models.Q(('state__in', ['open', 'approved'])), fields=('kind', 'subject_id'), name='approval_open_once'),
                    models.CheckConstraint(condition=models.Q(models.Q(('amount__isnull', True), ('currency__isnull', True)), models.Q(('amount__isnull', False), ('currency__isnull', False)), _connector='OR'), name='approval_amount_with_currency'),
                    models.CheckConstraint(condition=models.Q(models.Q(('needed__gte', 1), ('needed__lte', 5)), models.Q(('needed', 0), ('policy__isnull', False)), _connector='OR'), name='approval_by_nobody_by_policy'),
                    models.CheckConstraint(condition=models.Q(('state', 'open'), ('decided_at__isnull', False), _connector='XOR'), name='approval_decided_at'),
                    models.CheckConstraint(condition=models.Q(models.Q(('taken_by__isnull', True), ('taken_until__isnull', True)), models.Q(('taken_by__isnull', False), ('taken_until__isnull', False)), _connector='OR'), name='approval_taken_until'),
                ],
            },
        ),
        migrations.CreateModel(
            name='HistoricalApprovalPolicy',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('kind', models.CharField(max_length=40)),
                ('from_amount', backoffice.database.AmountField(decimal_places=18, default=0, help_text='Applies from this amount on.', max_digits=38, verbose_name='from')),
                ('approvers', models.PositiveSmallIntegerField(default=1, help_text='How many must agree, each another person than who asks. 0: done at once.')),
                ('hours', models.PositiveIntegerField(default=72, verbose_name='good for (hours)')),
                ('is_active', models.BooleanField(default=True, verbose_name='in force')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('currency', models.ForeignKey(blank=True, db_constraint=False, help_text='Empty: any.', null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='backoffice.currency')),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('role', models.ForeignKey(blank=True, db_constraint=False, help_text='Empty: everybody who may decide this kind.', null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='auth.group')),
            ],
            options={
                'verbose_name': 'historical approval policy',
                'verbose_name_plural': 'historical approval policies',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='Vote',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('verdict', models.CharField(choices=[('approve', 'Approved'), ('reject', 'Rejected')], max_length=8)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('content_hash', models.CharField(max_length=64)),
                ('at', models.DateTimeField()),
                ('approval', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='votes', to='compliance.approval')),
                ('by_user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'default_permissions': (),
                'constraints': [
                    models.UniqueConstraint(fields=('approval', 'by_user'), name='vote_once'),
                ],
            },
        ),
        migrations.RunSQL([(SQL / "0004_approvals.sql").read_text()]),
        migrations.RunSQL([append_only("compliance_vote")]),
    ]
