-- As in 0004, and: what could not be done is tried again with the votes it has, is called off, or ends by itself.
-- Used by migration 0007 and never edited after a release; a change is a new file and a new migration.

-- What was asked for never changes; states move as they may; and nothing is approved without its votes.
CREATE OR REPLACE FUNCTION compliance_approval_moves() RETURNS trigger LANGUAGE plpgsql AS $$
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
        OR (OLD.state = 'failed' AND NEW.state IN ('approved', 'voided', 'expired'))
    ) THEN
        RAISE EXCEPTION 'approvals: % never becomes %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state = 'approved' AND OLD.state <> 'approved' AND (
        SELECT count(*) FROM compliance_vote WHERE approval_id = NEW.id AND verdict = 'approve'
    ) < (CASE WHEN OLD.state = 'open' THEN greatest(NEW.needed, 1) ELSE NEW.needed END) THEN
        RAISE EXCEPTION 'approvals: too few have agreed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
