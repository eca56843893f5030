-- What the database refuses, whatever code does. Errors are check_violation, so Django shows an IntegrityError.
-- Used by migration 0002 and never edited after a release; a change is a new file and a new migration.

CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger: % (% on %)', TG_ARGV[0], TG_OP, TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;


-- Accounts ------------------------------------------------------------------------------------------------------

-- CHECK constraints and WHEN clauses are read anew for each statement on a table, and balances change all the time.
-- So what can only be wrong when an account opens is looked at only then, and triggers name their columns.

CREATE FUNCTION ledger_account_opens() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    wrong := CASE
        WHEN NEW.posted <> 0 OR NEW.held <> 0 OR NEW.version <> 0 OR NEW.is_closed THEN 'opens empty'
        WHEN NEW.book NOT IN ('real', 'demo', 'real_mirror', 'demo_mirror') THEN 'is of a known book'
        WHEN NEW.kind NOT IN ('asset', 'liability', 'income', 'expense', 'equity') THEN 'is of a known kind'
        WHEN (NEW.owner_type = '') <> (NEW.owner_id IS NULL) THEN 'has an owner with type and id, or is the house''s'
        WHEN NEW.shard <> 0 AND NEW.owner_type <> '' THEN 'has shards only if it is the house''s'
    END;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'ledger: an account %', wrong USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_account_opens BEFORE INSERT ON ledger_account
    FOR EACH ROW EXECUTE FUNCTION ledger_account_opens();

-- pg_trigger_depth() is 0 for a statement someone wrote and more for one a trigger wrote. Postings and holds move
-- balances by the triggers below, so whoever edits a balance by hand is refused, and drift cannot come about.
CREATE FUNCTION ledger_account_balance_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.posted <> OLD.posted OR NEW.held <> OLD.held OR NEW.version <> OLD.version THEN
        RAISE EXCEPTION 'ledger: a balance moves only by postings and holds' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_account_balance_stays BEFORE UPDATE OF posted, held, version ON ledger_account
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ledger_account_balance_stays();

CREATE FUNCTION ledger_account_keeps_identity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.uuid, NEW.book, NEW.currency_id, NEW.kind, NEW.purpose, NEW.owner_type, NEW.owner_id,
        NEW.client_id, NEW.shard, NEW.guarded, NEW.opened_at)
        IS DISTINCT FROM
        (OLD.id, OLD.uuid, OLD.book, OLD.currency_id, OLD.kind, OLD.purpose, OLD.owner_type, OLD.owner_id,
        OLD.client_id, OLD.shard, OLD.guarded, OLD.opened_at)
        OR (OLD.is_closed AND NOT NEW.is_closed)
    THEN
        RAISE EXCEPTION 'ledger: what an account is never changes, and a closed one stays closed'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_account_keeps_identity
    BEFORE UPDATE OF id, uuid, book, currency_id, kind, purpose, owner_type, owner_id, client_id, shard, guarded,
        opened_at, is_closed ON ledger_account
    FOR EACH ROW EXECUTE FUNCTION ledger_account_keeps_identity();

CREATE TRIGGER ledger_account_stays BEFORE DELETE ON ledger_account
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse('accounts are closed, not deleted');
CREATE TRIGGER ledger_account_no_truncate BEFORE TRUNCATE ON ledger_account
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('accounts are closed, not deleted');

-- Amounts already booked with more decimals would lose them in every text.
CREATE FUNCTION ledger_currency_keeps_decimals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM ledger_account WHERE currency_id = OLD.code) THEN
        RAISE EXCEPTION 'ledger: % has accounts and cannot lose decimals', OLD.code USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_currency_keeps_decimals BEFORE UPDATE ON backoffice_currency
    FOR EACH ROW WHEN (NEW.exponent < OLD.exponent) EXECUTE FUNCTION ledger_currency_keeps_decimals();


-- Entries and postings --------------------------------------------------------------------------------------------

-- An entry and all its postings are written in one statement. Within it, statement triggers see both; after it,
-- nothing can be added, because lines are numbered from 1 in each statement and a line is unique in its entry.

CREATE FUNCTION ledger_entries_have_postings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A scalar subquery stays an index lookup for each entry; EXISTS may become a scan of all postings.
    IF EXISTS (
        SELECT 1 FROM new_entries e
        WHERE (SELECT p.id FROM ledger_posting p WHERE p.entry_id = e.id AND p.line = 1) IS NULL
    ) THEN
        RAISE EXCEPTION 'ledger: an entry is written in one statement with its postings'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_entry_has_postings AFTER INSERT ON ledger_entry
    REFERENCING NEW TABLE AS new_entries FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_have_postings();

CREATE FUNCTION ledger_entry_is_recorded_now() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger: recorded_at is the database''s own clock' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER ledger_entry_is_recorded_now BEFORE INSERT ON ledger_entry
    FOR EACH ROW WHEN (NEW.recorded_at <> now()) EXECUTE FUNCTION ledger_entry_is_recorded_now();

CREATE FUNCTION ledger_postings_move_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    p record;
    wrong text;
    n int := 0;  -- accounts so far, and of each the change and the balance stated last
    ids bigint[]; changes numeric[]; stated numeric[];
BEGIN
    SELECT format('entry %s does not sum to zero in %s', x.entry_id, x.currency_id) INTO wrong
        FROM new_postings x
        GROUP BY x.entry_id, x.currency_id
        HAVING sum(CASE x.side WHEN 'debit' THEN x.amount ELSE -x.amount END) <> 0
        LIMIT 1;
    IF wrong IS NULL THEN
        SELECT format('entry %s is written once, with lines from 1', x.entry_id) INTO wrong
            FROM new_postings x
            GROUP BY x.entry_id
            HAVING min(x.line) <> 1 OR max(x.line) <> count(*)
            LIMIT 1;
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'ledger: %', wrong USING ERRCODE = 'check_violation';
    END IF;
    -- Moves the balances, all in one statement, and holds the stated balances, books and currencies to them.
    FOR p IN
        SELECT x.account_id, x.balance_after,
               CASE WHEN (x.side = 'debit') = (a.kind IN ('asset', 'expense')) THEN x.amount ELSE -x.amount END AS change,
               a.book IS NULL OR a.currency_id <> x.currency_id
                   OR a.book IS DISTINCT FROM (SELECT e.book FROM ledger_entry e WHERE e.id = x.entry_id) AS foreign_line
        FROM new_postings x
        LEFT JOIN LATERAL (SELECT * FROM ledger_account r WHERE r.id = x.account_id OFFSET 0) a ON true
        ORDER BY x.account_id, x.id
    LOOP
        IF p.foreign_line THEN
            RAISE EXCEPTION 'ledger: account % is posted to in another book or currency than its own', p.account_id
                USING ERRCODE = 'check_violation';
        END IF;
        IF n = 0 OR ids[n] <> p.account_id THEN
            n := n + 1;
            ids[n] := p.account_id; changes[n] := 0;
        END IF;
        changes[n] := changes[n] + p.change; stated[n] := p.balance_after;
    END LOOP;
    WITH moved AS (
        UPDATE ledger_account r
        SET posted = r.posted + changes[array_position(ids, r.id)], version = r.version + 1
        WHERE r.id = ANY (ids) RETURNING r.id, r.posted
    )
    SELECT format('balance after of account %s: %s stated, %s true', m.id, stated[array_position(ids, m.id)], m.posted)
        INTO wrong FROM moved m WHERE m.posted <> stated[array_position(ids, m.id)] LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'ledger: %', wrong USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_postings_move_balances AFTER INSERT ON ledger_posting
    REFERENCING NEW TABLE AS new_postings FOR EACH STATEMENT EXECUTE FUNCTION ledger_postings_move_balances();


-- Holds -------------------------------------------------------------------------------------------------------------

CREATE TRIGGER ledger_hold_is_placed_open BEFORE INSERT ON ledger_hold
    FOR EACH ROW WHEN (NEW.state <> 'held')
    EXECUTE FUNCTION ledger_refuse('a hold begins held');

CREATE TRIGGER ledger_hold_is_resolved_once BEFORE UPDATE ON ledger_hold
    FOR EACH ROW WHEN (OLD.state <> 'held' OR NEW.state = 'held')
    EXECUTE FUNCTION ledger_refuse('a hold is resolved once, and that is its only change');

CREATE TRIGGER ledger_hold_keeps_terms
    BEFORE UPDATE OF id, uuid, account_id, amount, purpose, key, content_hash, placed_at, expires_at, by, by_user_id,
        subject_type, subject_id, client_id ON ledger_hold
    FOR EACH ROW WHEN (
        (NEW.id, NEW.uuid, NEW.account_id, NEW.amount, NEW.purpose, NEW.key, NEW.content_hash, NEW.placed_at,
         NEW.by, NEW.subject_type)
            <> (OLD.id, OLD.uuid, OLD.account_id, OLD.amount, OLD.purpose, OLD.key, OLD.content_hash, OLD.placed_at,
                OLD.by, OLD.subject_type)
        OR NEW.expires_at IS DISTINCT FROM OLD.expires_at
        OR NEW.by_user_id IS DISTINCT FROM OLD.by_user_id
        OR NEW.subject_id IS DISTINCT FROM OLD.subject_id
        OR NEW.client_id IS DISTINCT FROM OLD.client_id
    )
    EXECUTE FUNCTION ledger_refuse('the terms of a hold never change');

CREATE FUNCTION ledger_holds_move_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ledger_account
        SET held = held + CASE TG_OP WHEN 'INSERT' THEN NEW.amount ELSE -NEW.amount END,
            version = version + 1
        WHERE id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_holds_move_held AFTER INSERT OR UPDATE ON ledger_hold
    FOR EACH ROW EXECUTE FUNCTION ledger_holds_move_held();

CREATE TRIGGER ledger_hold_stays BEFORE DELETE ON ledger_hold
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse('holds are resolved, not deleted');
CREATE TRIGGER ledger_hold_no_truncate BEFORE TRUNCATE ON ledger_hold
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('holds are resolved, not deleted');
