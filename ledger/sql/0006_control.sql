-- Closed days: what is booked stays as it was when the day was closed.
-- Used by migration 0006 and never edited after a release.

-- Whoever posts shares this lock of the book until the commit, and whoever closes or reopens a day has it alone: no entry
-- is on its way to a day while that is closed, and who waited for it sees the close.
CREATE FUNCTION ledger_days_lock(of_book text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtextextended('ledger days of ' || of_book, 0)
$$;

-- The last closed day of a book; null if none is. Takes the lock first, so that the answer holds until the commit.
CREATE FUNCTION ledger_closed_through(of_book text) RETURNS date LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(ledger_days_lock(of_book));
    RETURN (SELECT c.business_date FROM ledger_closing c
            WHERE c.book = of_book AND c.reopened_at IS NULL ORDER BY c.business_date DESC LIMIT 1);
END $$;

CREATE FUNCTION ledger_entries_are_of_open_days() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    e record;
BEGIN
    FOR e IN SELECT n.book, min(n.business_date) AS day FROM new_entries n GROUP BY n.book LOOP
        IF e.day <= ledger_closed_through(e.book) THEN
            RAISE EXCEPTION 'ledger: % is closed in this book', e.day USING ERRCODE = 'check_violation';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_entries_are_of_open_days AFTER INSERT ON ledger_entry
    REFERENCING NEW TABLE AS new_entries FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_are_of_open_days();

CREATE TRIGGER ledger_closing_stays BEFORE DELETE ON ledger_closing
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse('a close is kept, also one that was taken back');
CREATE TRIGGER ledger_closing_no_truncate BEFORE TRUNCATE ON ledger_closing
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('a close is kept, also one that was taken back');

CREATE FUNCTION ledger_closing_is_the_last() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    wrong := CASE
        WHEN TG_OP = 'INSERT' AND NEW.reopened_at IS NOT NULL THEN 'a close begins standing'
        WHEN EXISTS (SELECT 1 FROM ledger_closing c WHERE c.book = NEW.book AND c.reopened_at IS NULL
                     AND c.business_date > NEW.business_date) THEN 'days are closed in order, and reopened from the last'
        WHEN TG_OP = 'UPDATE' AND (OLD.reopened_at IS NOT NULL OR NEW.reopened_at IS NULL
            OR (to_jsonb(NEW) - '{reopened_at,reopened_by}'::text[]) <> (to_jsonb(OLD) - '{reopened_at,reopened_by}'::text[]))
            THEN 'a close can be taken back, once, and nothing else about it changes'
    END;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'ledger: %', wrong USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_closing_is_the_last BEFORE INSERT OR UPDATE ON ledger_closing
    FOR EACH ROW EXECUTE FUNCTION ledger_closing_is_the_last();
