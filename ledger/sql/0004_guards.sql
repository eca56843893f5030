-- The triggers of 0002 that run for each posting, written for sets: the same is refused, in two statements for any
-- number of entries. They also keep what the foreign keys of a posting kept (decision 15).
-- Used by migration 0004 and never edited after a release.

CREATE OR REPLACE FUNCTION ledger_postings_move_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
    is_untrue boolean; is_foreign boolean; is_unknown boolean;
BEGIN
    PERFORM 1 FROM (
        SELECT x.entry_id, sum(CASE x.side WHEN 'debit' THEN x.amount ELSE -x.amount END) AS excess,
               min(x.line) AS lowest, max(x.line) AS highest, count(*) AS lines
        FROM new_postings x GROUP BY x.entry_id, x.currency_id
    ) p
        GROUP BY p.entry_id
        HAVING bool_or(p.excess <> 0) OR min(p.lowest) <> 1 OR max(p.highest) <> sum(p.lines) LIMIT 1;
    IF FOUND THEN  -- which and why is looked up only now
        SELECT format('entry %s does not sum to zero in %s', x.entry_id, x.currency_id) INTO wrong
            FROM new_postings x
            GROUP BY x.entry_id, x.currency_id
            HAVING sum(CASE x.side WHEN 'debit' THEN x.amount ELSE -x.amount END) <> 0
            LIMIT 1;
        RAISE EXCEPTION 'ledger: %', coalesce(wrong, 'an entry is written once, with lines from 1')
            USING ERRCODE = 'check_violation';
    END IF;
    -- Moves the balances and holds the stated ones, books and currencies to them. What an account's last line states is
    -- the greatest of pairs of id and balance; an entry or account that is not there leaves a null or a row too few.
    WITH change AS MATERIALIZED (
        SELECT x.account_id, sum(CASE x.side WHEN 'debit' THEN x.amount ELSE -x.amount END) AS debits,
               (max(ARRAY [x.id, x.balance_after]))[2] AS stated,
               min(x.currency_id) AS currency_id, max(x.currency_id) AS other_currency,
               min(x.book) AS book, max(x.book) AS other_book, count(x.book) < count(*) AS lacks_entry
        FROM (SELECT n.*, (SELECT e.book FROM ledger_entry e WHERE e.id = n.entry_id) AS book FROM new_postings n) x
        GROUP BY x.account_id ORDER BY x.account_id
    ), moved AS (
        UPDATE ledger_account r
        SET posted = r.posted + CASE WHEN r.kind IN ('asset', 'expense') THEN c.debits ELSE -c.debits END,
            version = r.version + 1
        FROM change c WHERE r.id = c.account_id
        RETURNING r.posted <> c.stated AS is_untrue,
                  c.lacks_entry OR r.book <> c.book OR r.book <> c.other_book
                      OR r.currency_id <> c.currency_id OR r.currency_id <> c.other_currency AS is_foreign
    )
    SELECT bool_or(m.is_untrue), bool_or(m.is_foreign), count(*) < (SELECT count(*) FROM change)
        INTO is_untrue, is_foreign, is_unknown FROM moved m;
    IF is_foreign OR is_unknown THEN
        RAISE EXCEPTION 'ledger: an account is posted to in another book or currency than its own'
            USING ERRCODE = 'check_violation';
    ELSIF is_untrue THEN
        SELECT format('balance after of account %s: %s stated, %s true', r.id, x.balance_after, r.posted) INTO wrong
            FROM new_postings x JOIN ledger_account r ON r.id = x.account_id
            WHERE r.posted <> x.balance_after
                AND x.id = (SELECT max(y.id) FROM new_postings y WHERE y.account_id = x.account_id) LIMIT 1;
        RAISE EXCEPTION 'ledger: %', wrong USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
