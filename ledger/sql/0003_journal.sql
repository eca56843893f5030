-- One call posts any number of entries: lock, look for the keys, check, write. A refusal is an answer, not an
-- error, so that the caller's transaction lives on. Used by migration 0003 and never edited after a release.

-- A line worked out: which balance it leaves behind, and what is wrong with it, if anything.
-- Line 0 is a captured hold: it moves what is held and is not posted.
CREATE TYPE ledger_line AS (
    draft int, line int, entry_id bigint, account_id bigint, account_uuid uuid, book text, currency_id text,
    exponent int, side text, amount numeric, posted_after numeric, held_after numeric, is_last boolean, problem text
);

CREATE FUNCTION ledger_post_now(
    drafts jsonb,        -- [{uuid, key, hash, kind, …, lines: [[account, side, amount]], captures: [[hold, amount]]}]
                         -- side: debit, credit, or lower (whichever lowers the account: a captured hold's line)
    accounts bigint[],   -- every account of the lines and the captured holds
    keys text[],
    by_name text, by_user bigint, correlation text
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    seen jsonb;
    refusal jsonb;
    lines ledger_line[];
    posted jsonb;
    replayed jsonb;
BEGIN
    -- Always in this order, so that two posts can wait for each other but never in a circle.
    PERFORM 1 FROM ledger_account WHERE id = ANY (accounts) ORDER BY id FOR NO KEY UPDATE;

    -- Only after the lock: the same request sent twice at once meets its own result here.
    SELECT jsonb_object_agg(e.key, jsonb_build_object('id', e.id, 'uuid', e.uuid, 'hash', e.content_hash))
        INTO seen FROM ledger_entry e WHERE e.key = ANY (keys);
    IF seen IS NOT NULL THEN
        SELECT jsonb_build_object('status', 'key_reused', 'draft', d.n, 'key', d.body ->> 'key') INTO refusal
            FROM jsonb_array_elements(drafts) WITH ORDINALITY AS d (body, n)
            WHERE seen -> (d.body ->> 'key') ->> 'hash' <> d.body ->> 'hash'
            ORDER BY d.n LIMIT 1;
        IF refusal IS NOT NULL THEN
            RETURN refusal;
        END IF;
        SELECT jsonb_agg(jsonb_build_object(
                   'draft', d.n, 'id', s.entry ->> 'id', 'uuid', s.entry ->> 'uuid', 'replayed', true,
                   'balances', (
                       SELECT jsonb_object_agg(a.id, jsonb_build_array(
                                  round(a.posted, c.exponent)::text, round(a.held, c.exponent)::text))
                       FROM ledger_account a JOIN backoffice_currency c ON c.code = a.currency_id
                       WHERE a.id IN (SELECT p.account_id FROM ledger_posting p
                                      WHERE p.entry_id = (s.entry ->> 'id')::bigint))))
            INTO replayed
            FROM jsonb_array_elements(drafts) WITH ORDINALITY AS d (body, n)
            CROSS JOIN LATERAL (SELECT seen -> (d.body ->> 'key') AS entry) s
            WHERE s.entry IS NOT NULL;
    END IF;

    -- Captured holds must be open, once, and cover what is captured.
    SELECT jsonb_build_object('status', w.status, 'draft', w.n, 'hold', w.hold_id, 'state', w.state,
                              'hold_amount', w.amount::text) INTO refusal
        FROM (
            SELECT d.n, (c ->> 0)::bigint AS hold_id, h.state, h.amount,
                   CASE WHEN h.state IS DISTINCT FROM 'held' THEN 'hold_resolved'
                        WHEN row_number() OVER (PARTITION BY h.id ORDER BY d.n) > 1 THEN 'hold_resolved'
                        WHEN (c ->> 1)::numeric > h.amount THEN 'capture_exceeds_hold' END AS status
            FROM jsonb_array_elements(drafts) WITH ORDINALITY AS d (body, n)
            CROSS JOIN jsonb_array_elements(d.body -> 'captures') c
            LEFT JOIN ledger_hold h ON h.id = (c ->> 0)::bigint
            WHERE seen IS NULL OR NOT seen ? (d.body ->> 'key')
        ) w WHERE w.status IS NOT NULL ORDER BY w.n LIMIT 1;
    IF refusal IS NOT NULL THEN
        RETURN refusal;
    END IF;

    -- An entry is reversed once.
    SELECT jsonb_build_object('status', 'already_reversed', 'draft', d.n) INTO refusal
        FROM jsonb_array_elements(drafts) WITH ORDINALITY AS d (body, n)
        JOIN ledger_entry e ON e.reverses_id = (d.body ->> 'reverses')::bigint
        WHERE seen IS NULL OR NOT seen ? (d.body ->> 'key')
        ORDER BY d.n LIMIT 1;
    IF refusal IS NOT NULL THEN
        RETURN refusal;
    END IF;

    WITH draft AS MATERIALIZED (
        SELECT d.n, d.body, nextval('ledger_entry_id_seq') AS entry_id
        FROM jsonb_array_elements(drafts) WITH ORDINALITY AS d (body, n)
        WHERE seen IS NULL OR NOT seen ? (d.body ->> 'key')
    ), line AS (
        SELECT d.n, d.entry_id, l.no, (l.body ->> 0)::bigint AS account_id, l.body ->> 1 AS side,
               (l.body ->> 2)::numeric AS amount, 0::numeric AS captured
        FROM draft d CROSS JOIN jsonb_array_elements(d.body -> 'lines') WITH ORDINALITY AS l (body, no)
        UNION ALL
        SELECT d.n, d.entry_id, 0, h.account_id, NULL, 0, h.amount
        FROM draft d CROSS JOIN jsonb_array_elements(d.body -> 'captures') c
        JOIN ledger_hold h ON h.id = (c ->> 0)::bigint
    ), account AS MATERIALIZED (
        SELECT a.*, c.exponent, CASE WHEN a.kind IN ('asset', 'expense') THEN 'debit' ELSE 'credit' END AS normal_side
        FROM ledger_account a JOIN backoffice_currency c ON c.code = a.currency_id WHERE a.id = ANY (accounts)
    ), sided AS (
        SELECT l.n, l.entry_id, l.no, l.account_id, l.amount, l.captured, a.uuid, a.book, a.currency_id, a.exponent,
               a.guarded, a.is_closed, a.posted, a.held, a.normal_side,
               CASE WHEN l.side <> 'lower' THEN l.side WHEN a.normal_side = 'debit' THEN 'credit' ELSE 'debit' END
                   AS side
        FROM line l LEFT JOIN account a ON a.id = l.account_id
    ), worked AS (
        SELECT s.*,
               s.posted + sum(CASE WHEN s.side = s.normal_side THEN s.amount ELSE -s.amount END) OVER running
                   AS posted_after,
               s.held - sum(s.captured) OVER running AS held_after,
               lead(s.n) OVER running IS DISTINCT FROM s.n AS is_last,
               sum(CASE s.side WHEN 'debit' THEN s.amount ELSE -s.amount END) OVER (PARTITION BY s.n, s.currency_id)
                   AS imbalance,
               min(s.book) OVER (PARTITION BY s.n) <> max(s.book) OVER (PARTITION BY s.n) AS mixed
        FROM sided s
        WINDOW running AS (PARTITION BY s.account_id ORDER BY s.n, s.no)
    )
    SELECT array_agg(ROW (
               w.n, w.no, w.entry_id, w.account_id, w.uuid, w.book, w.currency_id, w.exponent, w.side, w.amount,
               w.posted_after, w.held_after, w.is_last,
               CASE WHEN w.book IS NULL THEN 'unknown_account'
                    WHEN w.mixed THEN 'mixed_books'
                    WHEN w.is_closed THEN 'account_closed'
                    WHEN w.no > 0 AND (w.amount <= 0 OR w.amount <> round(w.amount, w.exponent)) THEN 'invalid_amount'
                    WHEN w.imbalance <> 0 THEN 'unbalanced'
                    WHEN abs(w.posted_after) >= 1e20 THEN 'invalid_amount'
                    WHEN w.guarded AND w.is_last AND w.posted_after < w.held_after THEN 'insufficient_funds'
               END)::ledger_line ORDER BY w.n, w.no)
        INTO lines FROM worked w;

    SELECT jsonb_build_object(
               'status', l.problem, 'draft', l.draft, 'line', l.line, 'account', l.account_id,
               'account_uuid', l.account_uuid, 'currency', l.currency_id, 'exponent', l.exponent)
        INTO refusal FROM unnest(lines) l WHERE l.problem IS NOT NULL
        ORDER BY l.draft,
            array_position(ARRAY['unknown_account', 'mixed_books', 'account_closed', 'invalid_amount', 'unbalanced'],
                           l.problem),
            l.line
        LIMIT 1;
    IF refusal IS NOT NULL THEN
        RETURN refusal;
    END IF;

    -- Holds first: a guarded account is never below its holds, not even between two statements.
    WITH captured AS (
        UPDATE ledger_hold h
        SET state = 'captured', captured_amount = c.amount, captured_by_id = c.entry_id,
            resolved_at = c.at, resolved_by = by_name
        FROM (
            SELECT (x ->> 0)::bigint AS hold_id, (x ->> 1)::numeric AS amount,
                   (d.body ->> 'at')::timestamptz AS at, d.body ->> 'key' AS key, d.body ->> 'uuid' AS entry_uuid,
                   (SELECT l.entry_id FROM unnest(lines) l WHERE l.draft = d.n LIMIT 1) AS entry_id
            FROM jsonb_array_elements(drafts) WITH ORDINALITY AS d (body, n)
            CROSS JOIN jsonb_array_elements(d.body -> 'captures') x
            WHERE seen IS NULL OR NOT seen ? (d.body ->> 'key')
        ) c
        WHERE h.id = c.hold_id
        RETURNING h.*, c.at, c.key AS entry_key, c.entry_uuid
    )
    INSERT INTO backoffice_event (name, version, subject_type, subject_id, client_id, by, by_user_id, at, key,
                                  correlation_id, payload)
        SELECT 'hold.captured', 1, 'hold', c.uuid, c.client_id, by_name, by_user, c.at, c.entry_key, correlation,
               jsonb_build_object('amount', round(c.amount, l.exponent)::text,
                                  'captured', round(c.captured_amount, l.exponent)::text,
                                  'account', l.account_uuid, 'currency', l.currency_id, 'entry', c.entry_uuid)
        FROM captured c JOIN unnest(lines) l ON l.entry_id = c.captured_by_id AND l.line = 0
            AND l.account_id = c.account_id;

    WITH draft AS MATERIALIZED (
        SELECT d.n, d.body, l.entry_id, l.book, l.texts, l.balances
        FROM jsonb_array_elements(drafts) WITH ORDINALITY AS d (body, n)
        JOIN (
            SELECT x.draft, x.entry_id, x.book,
                   jsonb_agg(concat_ws(' ', x.side, round(x.amount, x.exponent), x.currency_id, x.account_uuid)
                             ORDER BY x.line) FILTER (WHERE x.line > 0) AS texts,
                   jsonb_object_agg(x.account_id, jsonb_build_array(
                       round(x.posted_after, x.exponent)::text, round(x.held_after, x.exponent)::text))
                       FILTER (WHERE x.is_last) AS balances
            FROM unnest(lines) x GROUP BY x.draft, x.entry_id, x.book
        ) l ON l.draft = d.n
    ), entry AS (
        INSERT INTO ledger_entry (id, uuid, book, kind, reference, narration, key, content_hash, by, by_user_id,
                                  effective_at, recorded_at, business_date, reverses_id, subject_type, subject_id,
                                  client_id)
        SELECT d.entry_id, (d.body ->> 'uuid')::uuid, d.book, d.body ->> 'kind', d.body ->> 'reference',
               d.body ->> 'narration', d.body ->> 'key', d.body ->> 'hash', by_name, by_user,
               (d.body ->> 'at')::timestamptz, now(), (d.body ->> 'business_date')::date,
               (d.body ->> 'reverses')::bigint, d.body ->> 'subject_type', (d.body ->> 'subject_id')::uuid,
               (d.body ->> 'client_id')::uuid
        FROM draft d
    ), posting AS (
        INSERT INTO ledger_posting (entry_id, account_id, currency_id, line, side, amount, balance_after)
        SELECT l.entry_id, l.account_id, l.currency_id, l.line, l.side, l.amount, l.posted_after
        FROM unnest(lines) l WHERE l.line > 0 ORDER BY l.draft, l.line
    ), event AS (
        INSERT INTO backoffice_event (name, version, subject_type, subject_id, client_id, by, by_user_id, at, key,
                                      correlation_id, payload)
        SELECT 'journal.posted', 1, 'entry', (d.body ->> 'uuid')::uuid, (d.body ->> 'client_id')::uuid, by_name,
               by_user, (d.body ->> 'at')::timestamptz, d.body ->> 'key', correlation,
               jsonb_build_object('book', d.book, 'kind', d.body ->> 'kind', 'lines', d.texts,
                                  'about', d.body ->> 'subject_type', 'about_id', d.body ->> 'subject_id')
        FROM draft d ORDER BY d.n
    )
    SELECT jsonb_agg(jsonb_build_object('draft', d.n, 'id', d.entry_id, 'uuid', d.body ->> 'uuid',
                                        'replayed', false, 'balances', d.balances))
        INTO posted FROM draft d;

    RETURN jsonb_build_object('status', 'posted',
                              'entries', coalesce(posted, '[]'::jsonb) || coalesce(replayed, '[]'::jsonb));
END $$;

-- The same, and with `dry_run` undone again before it answers: the inner block is a subtransaction.
CREATE FUNCTION ledger_post(
    drafts jsonb, accounts bigint[], keys text[], by_name text, by_user bigint, correlation text, dry_run boolean
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    result jsonb;
BEGIN
    IF NOT dry_run THEN
        RETURN ledger_post_now(drafts, accounts, keys, by_name, by_user, correlation);
    END IF;
    BEGIN
        result := ledger_post_now(drafts, accounts, keys, by_name, by_user, correlation);
        RAISE EXCEPTION 'dry run' USING ERRCODE = 'LGDRY';
    EXCEPTION WHEN SQLSTATE 'LGDRY' THEN
        RETURN result;
    END;
END $$;
