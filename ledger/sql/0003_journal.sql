-- One call posts any number of entries: lock, look for the keys, check, write. A refusal is an answer, not an
-- error, so that the caller's transaction lives on. The checks walk the lines with plain variables, which is several
-- times as fast as window queries; the writes are one statement for all entries.
-- Used by migration 0003 and never edited after a release.

-- `line_posted` and `line_held`, one for each line: what its account has after the whole entry.
CREATE TYPE ledger_answer AS (
    status text, detail jsonb, entry_ids bigint[], entry_uuids uuid[], replayed boolean[],
    line_posted numeric[], line_held numeric[]
);

CREATE FUNCTION ledger_refusal(status text, detail jsonb) RETURNS ledger_answer LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW (status, detail, NULL, NULL, NULL, NULL, NULL)::ledger_answer
$$;

CREATE FUNCTION ledger_post_now(
    accounts bigint[],       -- in primary-key order: every account of the lines and of the captured holds
    drafts jsonb[],          -- what an entry says, one for each: kind, reference, narration, at …
    uuids uuid[], keys text[], hashes text[], ats timestamptz[], clients uuid[], reverses bigint[],
    line_draft int[],        -- the lines of all entries in order: place in drafts, place in accounts, side, amount
    line_place int[], line_side text[], line_amount numeric[],
    hold_draft int[], hold_place int[], holds bigint[], hold_amount numeric[],  -- holds the entries use up
    by_name text, by_user bigint, correlation text
) RETURNS ledger_answer LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    a record;
    answer ledger_answer;
    total int := cardinality(line_draft);
    -- by place in accounts
    known int := 0;
    currency text[]; exponent int[]; book text[]; normal text[]; closed boolean[]; guarded boolean[];
    posted numeric[]; held numeric[]; public uuid[];
    -- by draft
    entry_book text[];
    -- by line
    side text[] := line_side; after numeric[]; line_text text[];
    -- within the draft at hand
    d int; x int; i int := 1; first int; h int := 1;
    last_currency text; balance numeric; one_currency boolean;
BEGIN
    -- Always in primary-key order, so that two posts can wait for each other but never in a circle.
    FOR a IN
        SELECT r.*, c.exponent FROM ledger_account r JOIN backoffice_currency c ON c.code = r.currency_id
        WHERE r.id = ANY (accounts) ORDER BY r.id FOR NO KEY UPDATE OF r
    LOOP
        known := known + 1;
        IF a.id <> accounts[known] THEN
            EXIT;
        END IF;
        currency[known] := a.currency_id; exponent[known] := a.exponent; book[known] := a.book;
        normal[known] := CASE WHEN a.kind IN ('asset', 'expense') THEN 'debit' ELSE 'credit' END;
        closed[known] := a.is_closed; guarded[known] := a.guarded; public[known] := a.uuid;
        posted[known] := round(a.posted, a.exponent); held[known] := round(a.held, a.exponent);
    END LOOP;
    IF known < cardinality(accounts) OR a.id <> accounts[known] THEN
        RETURN ledger_refusal('unknown_account', '{}');
    END IF;

    -- Only after the lock: the same request sent twice at once meets its own result here.
    answer.entry_ids := array_fill(NULL::bigint, ARRAY [cardinality(keys)]);
    answer.replayed := array_fill(false, ARRAY [cardinality(keys)]);
    answer.entry_uuids := uuids;
    FOR a IN SELECT e.id, e.uuid, e.key, e.content_hash FROM ledger_entry e WHERE e.key = ANY (keys) LOOP
        d := array_position(keys, a.key::text);
        IF a.content_hash <> hashes[d] THEN
            RETURN ledger_refusal('key_reused', jsonb_build_object('draft', d));
        END IF;
        answer.entry_ids[d] := a.id; answer.entry_uuids[d] := a.uuid; answer.replayed[d] := true;
    END LOOP;

    FOR d IN 1 .. cardinality(keys) LOOP
        first := i;
        IF answer.replayed[d] THEN
            WHILE i <= total AND line_draft[i] = d LOOP
                i := i + 1;
            END LOOP;
            WHILE h <= cardinality(holds) AND hold_draft[h] = d LOOP
                h := h + 1;
            END LOOP;
            CONTINUE;
        END IF;
        answer.entry_ids[d] := nextval('ledger_entry_id_seq');

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
        last_currency := currency[line_place[i]];
        one_currency := true;
        balance := 0;
        line_text := '{}';
        WHILE i <= total AND line_draft[i] = d LOOP
            x := line_place[i];
            IF book[x] <> entry_book[d] THEN
                RETURN ledger_refusal('mixed_books', jsonb_build_object('draft', d));
            ELSIF closed[x] THEN
                RETURN ledger_refusal('account_closed', jsonb_build_object('draft', d, 'account', public[x]));
            ELSIF line_amount[i] <= 0 OR line_amount[i] <> round(line_amount[i], exponent[x]) THEN
                RETURN ledger_refusal('invalid_amount', jsonb_build_object('draft', d, 'exponent', exponent[x]));
            END IF;
            IF side[i] = 'lower' THEN
                side[i] := CASE normal[x] WHEN 'debit' THEN 'credit' ELSE 'debit' END;
            END IF;
            IF side[i] = normal[x] THEN
                posted[x] := posted[x] + line_amount[i];
            ELSE
                posted[x] := posted[x] - line_amount[i];
            END IF;
            IF abs(posted[x]) >= 1e20 THEN
                RETURN ledger_refusal('balance_too_large', jsonb_build_object('draft', d, 'account', public[x]));
            END IF;
            after[i] := posted[x];
            IF side[i] = 'debit' THEN
                balance := balance + line_amount[i];
            ELSE
                balance := balance - line_amount[i];
            END IF;
            one_currency := one_currency AND currency[x] = last_currency;
            line_text := line_text || concat_ws(' ', side[i], round(line_amount[i], exponent[x]), currency[x], public[x]);
            i := i + 1;
        END LOOP;
        IF one_currency AND balance <> 0 THEN
            RETURN ledger_refusal('unbalanced', jsonb_build_object('draft', d, 'currency', last_currency));
        ELSIF NOT one_currency THEN
            SELECT currency[line_place[l]] INTO last_currency FROM generate_series(first, i - 1) l
                GROUP BY currency[line_place[l]]
                HAVING sum(CASE side[l] WHEN 'debit' THEN line_amount[l] ELSE -line_amount[l] END) <> 0 LIMIT 1;
            IF FOUND THEN
                RETURN ledger_refusal('unbalanced', jsonb_build_object('draft', d, 'currency', last_currency));
            END IF;
        END IF;
        FOR l IN first .. i - 1 LOOP
            x := line_place[l];
            IF guarded[x] AND posted[x] < held[x] THEN
                RETURN ledger_refusal('insufficient_funds', jsonb_build_object('draft', d, 'account', public[x]));
            END IF;
            answer.line_posted[l] := posted[x];
            answer.line_held[l] := held[x];
        END LOOP;
        drafts[d] := drafts[d] || jsonb_build_object('lines', line_text);
    END LOOP;

    -- What was posted before is answered with how its accounts stand now.
    IF true = ANY (answer.replayed) THEN
        FOR l IN 1 .. total LOOP
            IF answer.replayed[line_draft[l]] THEN
                answer.line_posted[l] := posted[line_place[l]];
                answer.line_held[l] := held[line_place[l]];
            END IF;
        END LOOP;
    END IF;

    FOR h IN 1 .. cardinality(holds) LOOP
        d := hold_draft[h];
        CONTINUE WHEN answer.replayed[d];
        UPDATE ledger_hold r
            SET state = 'captured', captured_amount = hold_amount[h], captured_by_id = answer.entry_ids[d],
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

    WITH draft AS MATERIALIZED (
        SELECT n.*, entry_book[n.d] AS book
        FROM unnest(answer.entry_ids, answer.replayed, uuids, keys, hashes, ats, clients, reverses, drafts)
            WITH ORDINALITY AS n (entry_id, replayed, uuid, key, hash, at, client_id, reverses_id, said, d)
        WHERE NOT n.replayed
    ), entry AS (
        INSERT INTO ledger_entry (id, uuid, book, kind, reference, narration, key, content_hash, by, by_user_id,
                                  effective_at, recorded_at, business_date, reverses_id, subject_type, subject_id,
                                  client_id)
        SELECT n.entry_id, n.uuid, n.book, n.said ->> 'kind', n.said ->> 'reference', n.said ->> 'narration',
               n.key, n.hash, by_name, by_user, n.at, now(), (n.said ->> 'business_date')::date, n.reverses_id,
               n.said ->> 'subject_type', (n.said ->> 'subject_id')::uuid, n.client_id
        FROM draft n
    ), event AS (
        INSERT INTO backoffice_event (name, version, subject_type, subject_id, client_id, by, by_user_id, at, key,
                                      correlation_id, payload)
        SELECT 'journal.posted', 1, 'entry', n.uuid, n.client_id, by_name, by_user, n.at, n.key, correlation,
               jsonb_build_object('book', n.book, 'kind', n.said ->> 'kind', 'lines', n.said -> 'lines',
                                  'about', n.said ->> 'subject_type', 'about_id', n.said ->> 'subject_id')
        FROM draft n ORDER BY n.d
    )
    INSERT INTO ledger_posting (entry_id, account_id, currency_id, line, side, amount, balance_after)
        SELECT answer.entry_ids[l.d], accounts[l.place], currency[l.place],
               row_number() OVER (PARTITION BY l.d ORDER BY l.n), l.side, l.amount, l.balance_after
        FROM unnest(line_draft, line_place, side, line_amount, after)
            WITH ORDINALITY AS l (d, place, side, amount, balance_after, n)
        WHERE NOT answer.replayed[l.d]
        ORDER BY l.n;

    answer.status := 'posted';
    RETURN answer;
END $$;

-- The same, and with `dry_run` undone again before it answers: the inner block is a subtransaction.
CREATE FUNCTION ledger_post_dry(
    accounts bigint[], drafts jsonb[], uuids uuid[], keys text[], hashes text[], ats timestamptz[], clients uuid[],
    reverses bigint[], line_draft int[], line_place int[], line_side text[], line_amount numeric[], hold_draft int[],
    hold_place int[], holds bigint[], hold_amount numeric[], by_name text, by_user bigint, correlation text
) RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
    answer ledger_answer;
BEGIN
    answer := ledger_post_now(accounts, drafts, uuids, keys, hashes, ats, clients, reverses, line_draft, line_place,
                              line_side, line_amount, hold_draft, hold_place, holds, hold_amount, by_name, by_user,
                              correlation);
    RAISE EXCEPTION 'dry run' USING ERRCODE = 'LGDRY';
EXCEPTION WHEN SQLSTATE 'LGDRY' THEN
    RETURN answer;
END $$;
