-- What the database refuses of approvals, whatever code does. Errors are check_violation, so Django shows an IntegrityError.
-- Used by migration 0004 and never edited after a release; a change is a new file and a new migration.

-- A vote is another person's than who asked, on an open approval, about the content it carries. The approval's row is
-- locked, so that votes of one approval come one after the other.
CREATE FUNCTION compliance_vote_counts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    asked compliance_approval%ROWTYPE;
    wrong text;
BEGIN
    SELECT * INTO STRICT asked FROM compliance_approval WHERE id = NEW.approval_id FOR NO KEY UPDATE;
    wrong := CASE
        WHEN asked.state <> 'open' THEN 'a vote needs an open approval'
        WHEN asked.requested_by_user_id = NEW.by_user_id THEN 'who asks never votes on it'
        WHEN asked.content_hash <> NEW.content_hash THEN 'a vote is for the content that was asked for'
    END;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'approvals: %', wrong USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER compliance_vote_counts BEFORE INSERT ON compliance_vote
    FOR EACH ROW EXECUTE FUNCTION compliance_vote_counts();

-- An approval begins open. One that its policy has nobody agree to begins approved.
CREATE FUNCTION compliance_approval_begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> 'open' AND NOT (NEW.state = 'approved' AND NEW.needed = 0 AND EXISTS (
        SELECT 1 FROM compliance_approvalpolicy WHERE id = NEW.policy_id AND approvers = 0
    )) THEN
        RAISE EXCEPTION 'approvals: one begins open, or approved where its policy asks nobody'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER compliance_approval_begins BEFORE INSERT ON compliance_approval
    FOR EACH ROW EXECUTE FUNCTION compliance_approval_begins();

-- What was asked for never changes; states move as they may; and nothing is approved without its votes.
CREATE FUNCTION compliance_approval_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.uuid, NEW.kind, NEW.subject_type, NEW.subject_id, NEW.client_id, NEW.amount, NEW.currency_id,
        NEW.title, NEW.content, NEW.content_hash, NEW.policy_id, NEW.needed, NEW.role_id, NEW.requested_by,
        NEW.requested_by_user_id, NEW.requested_at, NEW.expires_at)
        IS DISTINCT FROM
        (OLD.id, OLD.uuid, OLD.kind, OLD.subject_type, OLD.subject_id, OLD.client_id, OLD.amount, OLD.currency_id,
        OLD.title, OLD.content, OLD.content_hash, OLD.policy_id, OLD.needed, OLD.role_id, OLD.requested_by,
        OLD.requested_by_user_id, OLD.requested_at, OLD.expires_at)
    THEN
        RAISE EXCEPTION 'approvals: what was asked for never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state <> OLD.state AND NOT (
        (OLD.state = 'open' AND NEW.state IN ('approved', 'rejected', 'voided', 'expired'))
        OR (OLD.state = 'approved' AND NEW.state IN ('applied', 'failed', 'voided', 'expired'))
    ) THEN
        RAISE EXCEPTION 'approvals: % never becomes %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'approved' AND OLD.state = 'open' AND (
        SELECT count(*) FROM compliance_vote WHERE approval_id = NEW.id AND verdict = 'approve'
    ) < greatest(NEW.needed, 1) THEN
        RAISE EXCEPTION 'approvals: too few have agreed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER compliance_approval_moves BEFORE UPDATE ON compliance_approval
    FOR EACH ROW EXECUTE FUNCTION compliance_approval_moves();

CREATE TRIGGER compliance_approval_stays BEFORE DELETE ON compliance_approval
    FOR EACH ROW EXECUTE FUNCTION backoffice_refuse_change();
CREATE TRIGGER compliance_approval_no_truncate BEFORE TRUNCATE ON compliance_approval
    FOR EACH STATEMENT EXECUTE FUNCTION backoffice_refuse_change();
