-- What the database refuses, whatever code does. Errors are check_violation, so Django shows an IntegrityError.
-- Used by migration 0002 and never edited after a release; a change is a new file and a new migration.

CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger: % (% on %)', TG_ARGV[0], TG_OP, TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;


-- Accounts ------------------------------------------------------------------------------------------------------

-- pg_trigger_depth() is 0 for a statement someone wrote and more for one a trigger wrote. Postings and holds move
-- balances by the triggers below, so whoever edits a balance by hand is refused, and drift cannot come about.
CREATE TRIGGER ledger_account_balance_moves_by_postings BEFORE UPDATE ON ledger_account
    FOR EACH ROW WHEN (
        pg_trigger_depth() = 0
        AND (NEW.posted <> OLD.posted OR NEW.held <> OLD.held OR NEW.version <> OLD.version)
    )
    EXECUTE FUNCTION ledger_refuse('a balance moves only by postings and holds');

CREATE TRIGGER ledger_account_opens_empty BEFORE INSERT ON ledger_account
    FOR EACH ROW WHEN (NEW.posted <> 0 OR NEW.held <> 0 OR NEW.version <> 0 OR NEW.is_closed)
    EXECUTE FUNCTION ledger_refuse('an account opens empty');

CREATE TRIGGER ledger_account_keeps_identity BEFORE UPDATE ON ledger_account
    FOR EACH ROW WHEN (
        (NEW.id, NEW.uuid, NEW.book, NEW.currency_id, NEW.kind, NEW.purpose, NEW.owner_type, NEW.shard,
         NEW.guarded, NEW.opened_at)
            <> (OLD.id, OLD.uuid, OLD.book, OLD.currency_id, OLD.kind, OLD.purpose, OLD.owner_type, OLD.shard,
                OLD.guarded, OLD.opened_at)
        OR NEW.owner_id IS DISTINCT FROM OLD.owner_id
        OR NEW.client_id IS DISTINCT FROM OLD.client_id
        OR (OLD.is_closed AND NOT NEW.is_closed)
    )
    EXECUTE FUNCTION ledger_refuse('what an account is never changes, and a closed one stays closed');

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
    IF EXISTS (
        SELECT 1 FROM new_entries e WHERE NOT EXISTS (SELECT 1 FROM ledger_posting p WHERE p.entry_id = e.id)
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
    wrong text;
BEGIN
    SELECT format('entry %s does not sum to zero in %s', p.entry_id, p.currency_id) INTO wrong
        FROM new_postings p
        GROUP BY p.entry_id, p.currency_id
        HAVING sum(CASE p.side WHEN 'debit' THEN p.amount ELSE -p.amount END) <> 0
        LIMIT 1;
    IF wrong IS NULL THEN
        SELECT format('entry %s is written once, with lines from 1', p.entry_id) INTO wrong
            FROM new_postings p
            GROUP BY p.entry_id
            HAVING min(p.line) <> 1 OR max(p.line) <> count(*)
            LIMIT 1;
    END IF;
    IF wrong IS NULL THEN
        SELECT format('line %s of entry %s is in another book or currency than its account', p.line, p.entry_id)
            INTO wrong
            FROM new_postings p
            LEFT JOIN ledger_entry e ON e.id = p.entry_id
            LEFT JOIN ledger_account a ON a.id = p.account_id
            WHERE a.book IS DISTINCT FROM e.book OR a.currency_id IS DISTINCT FROM p.currency_id OR a.id IS NULL
            LIMIT 1;
    END IF;
    IF wrong IS NULL THEN
        -- Moves the balances, and holds the stated balances to them.
        WITH delta AS (
            SELECT p.account_id,
                   sum(CASE p.side WHEN 'debit' THEN p.amount ELSE -p.amount END) AS debits,
                   (array_agg(p.balance_after ORDER BY p.id DESC))[1] AS stated
            FROM new_postings p GROUP BY p.account_id
        ), moved AS (
            UPDATE ledger_account a
            SET posted = a.posted + CASE WHEN a.kind IN ('asset', 'expense') THEN d.debits ELSE -d.debits END,
                version = a.version + 1
            FROM delta d WHERE a.id = d.account_id
            RETURNING a.id, a.posted, d.stated
        )
        SELECT format('balance after of account %s: %s stated, %s true', m.id, m.stated, m.posted) INTO wrong
            FROM moved m WHERE m.posted <> m.stated LIMIT 1;
    END IF;
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

CREATE TRIGGER ledger_hold_keeps_terms BEFORE UPDATE ON ledger_hold
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
