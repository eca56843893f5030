"""Dead letters are decided about; rows there already get public ids, and their messages were not kept."""

import backoffice.database
import backoffice.secrets
from django.db import migrations, models


def name_rows(apps, schema_editor):
    """Each row a public id of its own; refusals are answers, about which nobody need decide."""
    FailedJob, Schedule = apps.get_model("jobs", "FailedJob"), apps.get_model("jobs", "Schedule")
    Past = apps.get_model("jobs", "HistoricalSchedule")
    for model in (FailedJob, Schedule):
        for pk in model.objects.values_list("pk", flat=True).iterator():
            model.objects.filter(pk=pk).update(uuid=backoffice.database.uuid7())
    for pk, uuid in Schedule.objects.values_list("pk", "uuid"):
        Past.objects.filter(id=pk).update(uuid=uuid)
    FailedJob.objects.exclude(code="").update(
        state="discarded", decided_at=models.F("failed_at"), decided_by="the refusal"
    )


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0002_schedule_history'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='failedjob',
            options={'permissions': [('decide_failedjob', 'Can send a failed job again or discard it')]},
        ),
        migrations.AlterModelOptions(
            name='schedule',
            options={'permissions': [('run_schedule', 'Can run a scheduled job now')], 'verbose_name': 'scheduled job'},
        ),
        migrations.AddField(
            model_name='failedjob',
            name='decided_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='failedjob',
            name='decided_by',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name='failedjob',
            name='message',
            field=backoffice.secrets.EncryptedField(blank=True, help_text='The whole message, to be sent again.'),
        ),
        migrations.AddField(
            model_name='failedjob',
            name='sent_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='sent again'),
        ),
        migrations.AddField(
            model_name='failedjob',
            name='state',
            field=models.CharField(choices=[('open', 'Open'), ('replaying', 'Being sent again'), ('replayed', 'Sent again'), ('discarded', 'Discarded')], default='open', max_length=9),
        ),
        migrations.AddField(
            model_name='failedjob',
            name='uuid',
            field=models.UUIDField(null=True, editable=False, verbose_name='public id'),
        ),
        migrations.AddField(
            model_name='historicalschedule',
            name='uuid',
            field=models.UUIDField(db_index=True, default=backoffice.database.uuid7, editable=False, verbose_name='public id'),
        ),
        migrations.AddField(
            model_name='schedule',
            name='uuid',
            field=models.UUIDField(null=True, editable=False, verbose_name='public id'),
        ),
        migrations.RunPython(name_rows, migrations.RunPython.noop),
        *[
            migrations.AlterField(
                model_name=model,
                name='uuid',
                field=models.UUIDField(default=backoffice.database.uuid7, editable=False, unique=True, verbose_name='public id'),
            )
            for model in ('failedjob', 'schedule')
        ],
        migrations.AddIndex(
            model_name='failedjob',
            index=models.Index(condition=models.Q(('state__in', ['open', 'replaying'])), fields=['state', 'id'], name='failed_job_waiting'),
        ),
        migrations.AddConstraint(
            model_name='failedjob',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('decided_by', ''), ('state', 'open')), models.Q(models.Q(('state', 'open'), _negated=True), ('decided_at__isnull', False), models.Q(('decided_by', ''), _negated=True)), _connector='OR'), name='failed_job_decided_by_somebody'),
        ),
        migrations.AddConstraint(
            model_name='failedjob',
            constraint=models.CheckConstraint(condition=models.Q(('state', 'replayed'), ('sent_at__isnull', True), _connector='XOR'), name='failed_job_replayed_was_sent'),
        ),
    ]
