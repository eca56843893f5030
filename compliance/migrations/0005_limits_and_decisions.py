"""Limits, activities and decisions about them, rules, and what the database refuses of them."""

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
        ('backoffice', '0009_mail'),
        ('compliance', '0004_approvals'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Activity',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uuid', models.UUIDField(default=backoffice.database.uuid7, editable=False, unique=True, verbose_name='public id')),
                ('kind', models.CharField(choices=[('deposit', 'Deposit'), ('withdrawal', 'Withdrawal'), ('transfer', 'Transfer')], max_length=16)),
                ('amount', backoffice.database.AmountField(decimal_places=18, max_digits=38)),
                ('subject_type', models.CharField(max_length=32, verbose_name='about')),
                ('subject_id', models.UUIDField()),
                ('at', models.DateTimeField()),
                ('counts', models.BooleanField(help_text='Whether it takes room of its limits.')),
                ('released_at', models.DateTimeField(null=True)),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='activities', to='compliance.client')),
                ('currency', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='backoffice.currency')),
            ],
            options={
                'verbose_name_plural': 'activities',
                'default_permissions': (),
                'indexes': [
                    models.Index(condition=models.Q(('counts', True)), fields=['client', 'currency', 'at'], name='activity_counting'),
                    models.Index(fields=['client', '-id'], name='activity_by_client'),
                ],
                'constraints': [
                    models.UniqueConstraint(fields=('subject_type', 'subject_id'), name='activity_once'),
                    models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='activity_amount'),
                    models.CheckConstraint(condition=models.Q(('released_at__isnull', True), ('counts', False), _connector='OR'), name='activity_released_never_counts'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Decision',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uuid', models.UUIDField(default=backoffice.database.uuid7, editable=False, unique=True, verbose_name='public id')),
                ('outcome', models.CharField(choices=[('allow', 'Allowed'), ('review', 'To be looked at'), ('block', 'Blocked')], max_length=8)),
                ('reasons', models.JSONField(default=list)),
                ('at', models.DateTimeField()),
                ('by', models.CharField(max_length=64)),
                ('activity', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='decisions', to='compliance.activity')),
            ],
            options={
                'default_permissions': ('view',),
                'indexes': [
                    models.Index(fields=['activity', '-id'], name='decision_by_activity'),
                ],
                'constraints': [
                    models.CheckConstraint(condition=models.Q(models.Q(('outcome', 'allow'), ('reasons', [])), models.Q(models.Q(('outcome', 'allow'), _negated=True), models.Q(('reasons', []), _negated=True)), _connector='OR'), name='decision_has_reasons'),
                ],
            },
        ),
        migrations.CreateModel(
            name='HistoricalLimit',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('kind', models.CharField(choices=[('deposit', 'Deposit'), ('withdrawal', 'Withdrawal'), ('transfer', 'Transfer')], max_length=16)),
                ('kyc_level', models.PositiveSmallIntegerField(verbose_name='KYC level')),
                ('window', models.PositiveSmallIntegerField(choices=[(0, 'At once'), (24, 'In 24 hours'), (168, 'In 7 days'), (720, 'In 30 days')])),
                ('amount', backoffice.database.AmountField(decimal_places=18, max_digits=38, verbose_name='at most')),
                ('is_active', models.BooleanField(default=True, verbose_name='in force')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('currency', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='backoffice.currency')),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'historical limit',
                'verbose_name_plural': 'historical limits',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalLimitOverride',
            fields=[
                ('id', models.BigIntegerField(blank=True, db_index=True)),
                ('uuid', models.UUIDField(db_index=True, default=backoffice.database.uuid7, editable=False, verbose_name='public id')),
                ('kind', models.CharField(choices=[('deposit', 'Deposit'), ('withdrawal', 'Withdrawal'), ('transfer', 'Transfer')], max_length=16)),
                ('window', models.PositiveSmallIntegerField(choices=[(0, 'At once'), (24, 'In 24 hours'), (168, 'In 7 days'), (720, 'In 30 days')])),
                ('amount', backoffice.database.AmountField(decimal_places=18, max_digits=38, verbose_name='at most')),
                ('expires_at', models.DateTimeField()),
                ('reason', models.CharField(max_length=200)),
                ('set_by', models.CharField(max_length=64)),
                ('set_at', models.DateTimeField()),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('client', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='compliance.client')),
                ('currency', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='backoffice.currency')),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'historical client limit',
                'verbose_name_plural': 'historical client limits',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='HistoricalMonitoringRule',
            fields=[
                ('id', models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name='ID')),
                ('name', models.CharField(db_index=True, max_length=80)),
                ('code', models.CharField(db_index=True, help_text='Permanent, in capitals: NEW_BENEFICIARY.', max_length=32)),
                ('kind', models.CharField(blank=True, choices=[('deposit', 'Deposit'), ('withdrawal', 'Withdrawal'), ('transfer', 'Transfer')], help_text='Empty: all.', max_length=16, verbose_name='watches')),
                ('condition', models.CharField(choices=[('level_below', "The client's KYC level is below"), ('level_age', "The client's KYC level is younger than (hours)"), ('account_age', 'We know the client for less than (hours)'), ('beneficiary_age', 'The beneficiary was added less than (hours) ago'), ('amount', 'The amount is at least'), ('turnover', 'In and out within 30 days, this included, is at least'), ('often', 'Within 24 hours, this included, there are at least'), ('crypto', 'It is crypto, of at least'), ('high_risk', "The client's risk is high, and the amount at least"), ('not_active', 'The client is suspended or closed, and the amount at least')], max_length=16)),
                ('threshold', backoffice.database.AmountField(decimal_places=18, default=0, help_text='A level, hours, a number or an amount, as the condition says.', max_digits=38)),
                ('outcome', models.CharField(choices=[('review', 'To be looked at'), ('block', 'Blocked')], default='review', max_length=8)),
                ('told', models.CharField(blank=True, help_text='Never what was suspected. Empty: that we look at it.', max_length=200, verbose_name='what the client is told')),
                ('is_active', models.BooleanField(default=True, verbose_name='in force')),
                ('history_id', models.AutoField(primary_key=True, serialize=False)),
                ('history_date', models.DateTimeField(db_index=True)),
                ('history_change_reason', models.CharField(max_length=100, null=True)),
                ('history_type', models.CharField(choices=[('+', 'Created'), ('~', 'Changed'), ('-', 'Deleted')], max_length=1)),
                ('currency', models.ForeignKey(blank=True, db_constraint=False, help_text='Empty: any.', null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='backoffice.currency')),
                ('history_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'historical monitoring rule',
                'verbose_name_plural': 'historical monitoring rules',
                'ordering': ('-history_date', '-history_id'),
                'get_latest_by': ('history_date', 'history_id'),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name='Limit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('deposit', 'Deposit'), ('withdrawal', 'Withdrawal'), ('transfer', 'Transfer')], max_length=16)),
                ('kyc_level', models.PositiveSmallIntegerField(verbose_name='KYC level')),
                ('window', models.PositiveSmallIntegerField(choices=[(0, 'At once'), (24, 'In 24 hours'), (168, 'In 7 days'), (720, 'In 30 days')])),
                ('amount', backoffice.database.AmountField(decimal_places=18, max_digits=38, verbose_name='at most')),
                ('is_active', models.BooleanField(default=True, verbose_name='in force')),
                ('currency', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='backoffice.currency')),
            ],
            options={
                'constraints': [
                    models.UniqueConstraint(fields=('kind', 'kyc_level', 'currency', 'window'), name='limit_once'),
                    models.CheckConstraint(condition=models.Q(('amount__gte', 0)), name='limit_amount'),
                ],
            },
        ),
        migrations.CreateModel(
            name='LimitOverride',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('uuid', models.UUIDField(default=backoffice.database.uuid7, editable=False, unique=True, verbose_name='public id')),
                ('kind', models.CharField(choices=[('deposit', 'Deposit'), ('withdrawal', 'Withdrawal'), ('transfer', 'Transfer')], max_length=16)),
                ('window', models.PositiveSmallIntegerField(choices=[(0, 'At once'), (24, 'In 24 hours'), (168, 'In 7 days'), (720, 'In 30 days')])),
                ('amount', backoffice.database.AmountField(decimal_places=18, max_digits=38, verbose_name='at most')),
                ('expires_at', models.DateTimeField()),
                ('reason', models.CharField(max_length=200)),
                ('set_by', models.CharField(max_length=64)),
                ('set_at', models.DateTimeField()),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='limit_overrides', to='compliance.client')),
                ('currency', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='backoffice.currency')),
            ],
            options={
                'verbose_name': 'client limit',
                'permissions': [('set_limitoverride', "Can set and end a client's own limits")],
                'default_permissions': ('view',),
                'indexes': [
                    models.Index(fields=['client', 'kind', 'currency', 'expires_at'], name='limit_override_in_force'),
                ],
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('amount__gte', 0)), name='limit_override_amount'),
                    models.CheckConstraint(condition=models.Q(('expires_at__gte', models.F('set_at'))), name='limit_override_expires'),
                ],
            },
        ),
        migrations.CreateModel(
            name='MonitoringRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=80, unique=True)),
                ('code', models.CharField(help_text='Permanent, in capitals: NEW_BENEFICIARY.', max_length=32, unique=True)),
                ('kind', models.CharField(blank=True, choices=[('deposit', 'Deposit'), ('withdrawal', 'Withdrawal'), ('transfer', 'Transfer')], help_text='Empty: all.', max_length=16, verbose_name='watches')),
                ('condition', models.CharField(choices=[('level_below', "The client's KYC level is below"), ('level_age', "The client's KYC level is younger than (hours)"), ('account_age', 'We know the client for less than (hours)'), ('beneficiary_age', 'The beneficiary was added less than (hours) ago'), ('amount', 'The amount is at least'), ('turnover', 'In and out within 30 days, this included, is at least'), ('often', 'Within 24 hours, this included, there are at least'), ('crypto', 'It is crypto, of at least'), ('high_risk', "The client's risk is high, and the amount at least"), ('not_active', 'The client is suspended or closed, and the amount at least')], max_length=16)),
                ('threshold', backoffice.database.AmountField(decimal_places=18, default=0, help_text='A level, hours, a number or an amount, as the condition says.', max_digits=38)),
                ('outcome', models.CharField(choices=[('review', 'To be looked at'), ('block', 'Blocked')], default='review', max_length=8)),
                ('told', models.CharField(blank=True, help_text='Never what was suspected. Empty: that we look at it.', max_length=200, verbose_name='what the client is told')),
                ('is_active', models.BooleanField(default=True, verbose_name='in force')),
                ('currency', models.ForeignKey(blank=True, help_text='Empty: any.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='backoffice.currency')),
            ],
            options={
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('code__regex', '^[A-Z][A-Z_]+$')), name='monitoring_rule_code'),
                    models.CheckConstraint(condition=models.Q(('outcome__in', ['review', 'block'])), name='monitoring_rule_outcome'),
                    models.CheckConstraint(condition=models.Q(('threshold__gte', 0)), name='monitoring_rule_threshold'),
                ],
            },
        ),
        migrations.RunSQL([(SQL / "0005_decisions.sql").read_text()]),
        migrations.RunSQL([append_only("compliance_decision")]),
    ]
