-- `ledger_post_now` anew: it says on which business date an entry is booked. A day that was given and is closed is
-- refused; where none was given it is the UTC date of when the entry counts, or the next open day after the closed ones.
-- Used by migration 0006 and never edited after a release.

CREATE OR REPLACE FUNCTION ledger_post_now(
    accounts bigint[],       -- in primary-key order: every account of the lines and of the captured holds
    kinds text[], "references" text[], narrations text[], days date[], subject_types text[], subject_ids uuid[],
    uuids uuid[], keys text[], hashes text[], ats timestamptz[], clients uuid[], reverses bigint[],  -- one for each entry
    line_draft int[],        -- the lines of all entries in order: place among the entries, place in accounts, side, amount
    line_place int[], line_side text[], line_amount numeric[],
    hold_draft int[], hold_place int[], holds bigint[], hold_amount numeric[],  -- holds the entries use up
    by_name text, by_user bigint, correlation text
) RETURNS ledger_answer LANGUAGE plpgsql
    -- One plan for each statement, by index: a plan made while the tables were small would scan them when they are not.
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    a record;
    total int := cardinality(line_draft);
    -- by place in accounts
    known bigint[]; currency text[]; exponent int[]; book text[]; by_debit boolean[]; guarded boolean[];
    closed boolean[]; posted numeric[]; held numeric[]; public uuid[]; tail text[];
    one_book boolean; one_currency boolean; none_closed boolean;
    -- by draft; arrays get their full length first: one that is filled from its third element on begins there
    entry_ids bigint[] := array_fill(NULL::bigint, ARRAY [cardinality(keys)]);
    entry_book text[] := array_fill(NULL::text, ARRAY [cardinality(keys)]);
    entry_lines text[] := entry_book;
    before_first int[] := array_fill(0, ARRAY [cardinality(keys)]);
    replayed boolean[] := array_fill(false, ARRAY [cardinality(keys)]);
    any_replayed boolean := false;
    entry_uuids uuid[] := uuids;
    -- by line
    side text[] := line_side;
    line_posted numeric[] := array_fill(NULL::numeric, ARRAY [total]); line_held numeric[] := line_posted;
    -- within the draft and the line at hand
    d int; x int; i int := 1; first int; h int := 1;
    said text; balance numeric; is_short boolean; is_debit boolean; size numeric; after numeric; other text;
    days_of text; through date;  -- the book whose last closed day is known
BEGIN
    -- Always in primary-key order, so that two posts can wait for each other but never in a circle.
    SELECT array_agg(l.id), array_agg(l.currency), array_agg(l.exponent), array_agg(l.book), array_agg(l.by_debit),
           array_agg(l.guarded), array_agg(l.is_closed), array_agg(l.posted), array_agg(l.held), array_agg(l.uuid),
           array_agg(l.tail), min(l.book) = max(l.book), min(l.currency) = max(l.currency), NOT bool_or(l.is_closed)
        INTO known, currency, exponent, book, by_debit, guarded, closed, posted, held, public, tail,
             one_book, one_currency, none_closed
        FROM (
            SELECT r.id, r.uuid, r.currency_id::text AS currency, c.exponent::int, r.book::text, r.guarded, r.is_closed,
                   r.kind IN ('asset', 'expense') AS by_debit, round(r.posted, c.exponent) AS posted,
                   round(r.held, c.exponent) AS held, ' ' || r.currency_id || ' ' || r.uuid AS tail
            FROM ledger_account r JOIN backoffice_currency c ON c.code = r.currency_id
            WHERE r.id = ANY (accounts) ORDER BY r.id FOR NO KEY UPDATE OF r
        ) l;
    IF known IS DISTINCT FROM accounts THEN
        RETURN ledger_refusal('unknown_account', '{}');
    END IF;

    -- Only after the lock: the same request sent twice at once meets its own result here.
    FOR a IN SELECT e.id, e.uuid, e.key, e.content_hash FROM ledger_entry e WHERE e.key = ANY (keys) LOOP
        d := array_position(keys, a.key::text);
        IF a.content_hash <> hashes[d] THEN
            RETURN ledger_refusal('key_reused', jsonb_build_object('draft', d));
        END IF;
        entry_ids[d] := a.id; entry_uuids[d] := a.uuid; replayed[d] := true; any_replayed := true;
    END LOOP;

    IF 'lower' = ANY (side) THEN
        FOR l IN 1 .. total LOOP
            IF side[l] = 'lower' THEN
                side[l] := CASE WHEN by_debit[line_place[l]] THEN 'credit' ELSE 'debit' END;
            END IF;
        END LOOP;
    END IF;

    FOR d IN 1 .. cardinality(keys) LOOP
        before_first[d] := i - 1;
        IF replayed[d] THEN
            WHILE i <= total AND line_draft[i] = d LOOP
                i := i + 1;
            END LOOP;
            WHILE h <= cardinality(holds) AND hold_draft[h] = d LOOP
                h := h + 1;
            END LOOP;
            CONTINUE;
        END IF;
        first := i;

        IF reverses[d] IS NOT NULL THEN
            IF EXISTS (SELECT 1 FROM ledger_entry e WHERE e.reverses_id = reverses[d]) THEN
                RETURN ledger_refusal('already_reversed', jsonb_build_object('draft', d));
            END IF;
        END IF;

        -- Holds go first: a guarded account is never below its holds, not even between two statements.
        WHILE h <= cardinality(holds) AND hold_draft[h] = d LOOP
            SELECT * INTO a FROM ledger_hold WHERE id = holds[h];
            IF a.state IS DISTINCT FROM 'held' OR a.account_id <> accounts[hold_place[h]] THEN
                RETURN ledger_refusal('hold_resolved', jsonb_build_object('draft', d, 'state', a.state));
            ELSIF hold_amount[h] > a.amount THEN
                RETURN ledger_refusal('capture_exceeds_hold', jsonb_build_object('draft', d));
            ELSIF holds[h] = ANY (holds[:h - 1]) THEN
                RETURN ledger_refusal('hold_resolved', jsonb_build_object('draft', d, 'state', 'captured'));
            END IF;
            held[hold_place[h]] := round(held[hold_place[h]] - a.amount, exponent[hold_place[h]]);
            h := h + 1;
        END LOOP;

        entry_book[d] := book[line_place[i]];
        IF days_of IS DISTINCT FROM entry_book[d] THEN
            days_of := entry_book[d];
            through := ledger_closed_through(days_of);
        END IF;
        IF days[d] IS NULL THEN
            days[d] := greatest((ats[d] AT TIME ZONE 'UTC')::date, through + 1);
        ELSIF days[d] <= through THEN
            RETURN ledger_refusal('day_closed', jsonb_build_object('draft', d, 'day', days[d]));
        END IF;
        balance := 0;
        is_short := false;
        said := '';
        WHILE i <= total AND line_draft[i] = d LOOP
            x := line_place[i];
            size := line_amount[i];
            IF NOT one_book AND book[x] <> entry_book[d] THEN
                RETURN ledger_refusal('mixed_books', jsonb_build_object('draft', d));
            ELSIF NOT none_closed AND closed[x] THEN
                RETURN ledger_refusal('account_closed', jsonb_build_object('draft', d, 'account', public[x]));
            ELSIF size <= 0 OR size <> round(size, exponent[x]) THEN
                RETURN ledger_refusal('invalid_amount', jsonb_build_object('draft', d, 'exponent', exponent[x]));
            END IF;
            is_debit := side[i] = 'debit';
            balance := CASE WHEN is_debit THEN balance + size ELSE balance - size END;
            after := CASE WHEN is_debit = by_debit[x] THEN posted[x] + size ELSE posted[x] - size END;
            IF abs(after) >= 1e20 THEN
                RETURN ledger_refusal('balance_too_large', jsonb_build_object('draft', d, 'account', public[x]));
            END IF;
            posted[x] := after;
            line_posted[i] := after;
            line_held[i] := held[x];
            is_short := is_short OR guarded[x] AND after < held[x];
            said := said || ',"' || side[i] || ' ' || round(size, exponent[x]) || tail[x] || '"';
            i := i + 1;
        END LOOP;
        IF one_currency AND balance <> 0 THEN
            RETURN ledger_refusal('unbalanced', jsonb_build_object('draft', d, 'currency', currency[1]));
        ELSIF NOT one_currency THEN
            SELECT currency[line_place[l]] INTO other FROM generate_series(first, i - 1) l
                GROUP BY currency[line_place[l]]
                HAVING sum(CASE side[l] WHEN 'debit' THEN line_amount[l] ELSE -line_amount[l] END) <> 0 LIMIT 1;
            IF FOUND THEN
                RETURN ledger_refusal('unbalanced', jsonb_build_object('draft', d, 'currency', other));
            END IF;
        END IF;
        IF is_short THEN  -- after one of its lines; what counts is the end of the entry
            FOR l IN first .. i - 1 LOOP
                x := line_place[l];
                IF guarded[x] AND posted[x] < held[x] THEN
                    RETURN ledger_refusal('insufficient_funds', jsonb_build_object('draft', d, 'account', public[x]));
                END IF;
            END LOOP;
        END IF;
        entry_ids[d] := nextval('ledger_entry_id_seq');
        entry_lines[d] := '[' || substr(said, 2) || ']';
    END LOOP;

    -- What was posted before is answered with how its accounts stand now.
    IF any_replayed THEN
        FOR l IN 1 .. total LOOP
            IF replayed[line_draft[l]] THEN
                line_posted[l] := posted[line_place[l]];
                line_held[l] := held[line_place[l]];
            END IF;
        END LOOP;
    END IF;

    FOR h IN 1 .. cardinality(holds) LOOP
        d := hold_draft[h];
        CONTINUE WHEN replayed[d];
        UPDATE ledger_hold r
            SET state = 'captured', captured_amount = hold_amount[h], captured_by_id = entry_ids[d],
                resolved_at = ats[d], resolved_by = by_name
            WHERE r.id = holds[h] RETURNING r.* INTO a;
        x := hold_place[h];
        INSERT INTO backoffice_event (name, version, subject_type, subject_id, client_id, by, by_user_id, at, key,
                                      correlation_id, payload)
            VALUES ('hold.captured', 1, 'hold', a.uuid, a.client_id, by_name, by_user, ats[d], keys[d], correlation,
                    jsonb_build_object('amount', round(a.amount, exponent[x])::text,
                                       'captured', round(a.captured_amount, exponent[x])::text,
                                       'account', public[x], 'currency', currency[x], 'entry', uuids[d]));
    END LOOP;

    WITH entry AS (
        INSERT INTO ledger_entry (id, uuid, book, kind, reference, narration, key, content_hash, by, by_user_id,
                                  effective_at, recorded_at, business_date, reverses_id, subject_type, subject_id,
                                  client_id)
        SELECT entry_ids[n], uuids[n], entry_book[n], kinds[n], "references"[n], narrations[n], keys[n], hashes[n],
               by_name, by_user, ats[n], now(), days[n], reverses[n], subject_types[n], subject_ids[n], clients[n]
        FROM generate_series(1, cardinality(keys)) n WHERE NOT replayed[n]
    ), event AS (
        INSERT INTO backoffice_event (name, version, subject_type, subject_id, client_id, by, by_user_id, at, key,
                                      correlation_id, payload)
        SELECT 'journal.posted', 1, 'entry', uuids[n], clients[n], by_name, by_user, ats[n], keys[n], correlation,
               jsonb_build_object('book', entry_book[n], 'kind', kinds[n], 'lines', entry_lines[n]::jsonb,
                                  'about', subject_types[n], 'about_id', subject_ids[n])
        FROM generate_series(1, cardinality(keys)) n WHERE NOT replayed[n]
    )
    -- In the order of the lines, as a series gives them: an account's last line is the one with the greatest id.
    INSERT INTO ledger_posting (entry_id, account_id, currency_id, line, side, amount, balance_after)
        SELECT entry_ids[line_draft[l]], accounts[line_place[l]], currency[line_place[l]],
               l - before_first[line_draft[l]], side[l], line_amount[l], line_posted[l]
        FROM generate_series(1, total) l WHERE NOT replayed[line_draft[l]];

    RETURN ROW ('posted', NULL, entry_ids, entry_uuids, replayed, line_posted, line_held)::ledger_answer;
END $$;
