-- What the database refuses of activities, whatever code does. Errors are check_violation, so Django shows an IntegrityError.
-- Used by migration 0005 and never edited after a release; a change is a new file and a new migration.

-- What somebody did never changes; only whether it counts. What was released stays so.
CREATE FUNCTION compliance_activity_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.uuid, NEW.kind, NEW.client_id, NEW.currency_id, NEW.amount, NEW.subject_type, NEW.subject_id, NEW.at)
        IS DISTINCT FROM
        (OLD.id, OLD.uuid, OLD.kind, OLD.client_id, OLD.currency_id, OLD.amount, OLD.subject_type, OLD.subject_id, OLD.at)
        OR (OLD.released_at IS NOT NULL AND NEW.released_at IS DISTINCT FROM OLD.released_at)
    THEN
        RAISE EXCEPTION 'activities: what was done never changes, and a released one stays released'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER compliance_activity_stays BEFORE UPDATE ON compliance_activity
    FOR EACH ROW EXECUTE FUNCTION compliance_activity_stays();
CREATE TRIGGER compliance_activity_kept BEFORE DELETE ON compliance_activity
    FOR EACH ROW EXECUTE FUNCTION backoffice_refuse_change();
CREATE TRIGGER compliance_activity_no_truncate BEFORE TRUNCATE ON compliance_activity
    FOR EACH STATEMENT EXECUTE FUNCTION backoffice_refuse_change();
