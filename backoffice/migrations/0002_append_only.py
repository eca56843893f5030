"""The event log is append-only; the sequencer alone may give a row its position and hash, once."""

from django.db import migrations

from backoffice.database import APPEND_ONLY_FUNCTION, append_only

SEQUENCED_ONCE = """
CREATE FUNCTION backoffice_event_sequenced_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.position IS NOT NULL OR NEW.position IS NULL
       OR ROW(OLD.id, OLD.name, OLD.version, OLD.subject_type, OLD.subject_id, OLD.subject_version, OLD.client_id,
              OLD."by", OLD.by_user_id, OLD.at, OLD.recorded_at, OLD.key, OLD.correlation_id, OLD.payload)
          IS DISTINCT FROM
          ROW(NEW.id, NEW.name, NEW.version, NEW.subject_type, NEW.subject_id, NEW.subject_version, NEW.client_id,
              NEW."by", NEW.by_user_id, NEW.at, NEW.recorded_at, NEW.key, NEW.correlation_id, NEW.payload)
    THEN
        RAISE EXCEPTION 'backoffice_event is append-only: UPDATE refused' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER backoffice_event_sequenced_once BEFORE UPDATE ON backoffice_event
    FOR EACH ROW EXECUTE FUNCTION backoffice_event_sequenced_once();
"""


class Migration(migrations.Migration):
    dependencies = [("backoffice", "0001_kernel")]

    operations = [
        migrations.RunSQL(APPEND_ONLY_FUNCTION, "DROP FUNCTION backoffice_refuse_change()"),
        migrations.RunSQL(append_only("backoffice_event", operations="DELETE"), migrations.RunSQL.noop),
        migrations.RunSQL(SEQUENCED_ONCE, migrations.RunSQL.noop),
    ]
