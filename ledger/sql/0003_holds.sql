-- Holds: place, release, expire, transfer, each in one call. What is held on the account moves by trigger.
-- Used by migration 0003 and never edited after a release.

CREATE TYPE ledger_hold_answer AS (
    status text, replayed boolean, posted numeric, held numeric, exponent int, hold ledger_hold
);

CREATE FUNCTION ledger_hold_event(
    name text, h ledger_hold, by_name text, by_user bigint, at timestamptz, key text, correlation text,
    successor uuid DEFAULT NULL
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO backoffice_event (name, version, subject_type, subject_id, client_id, by, by_user_id, at, key,
                                  correlation_id, payload)
    SELECT ledger_hold_event.name, 1, 'hold', h.uuid, h.client_id, by_name, by_user, ledger_hold_event.at,
           ledger_hold_event.key, correlation,
           jsonb_strip_nulls(jsonb_build_object(
               'amount', round(h.amount, c.exponent)::text, 'currency', a.currency_id, 'account', a.uuid,
               'purpose', h.purpose, 'transferred_to', successor))
    FROM ledger_account a JOIN backoffice_currency c ON c.code = a.currency_id WHERE a.id = h.account_id
$$;

CREATE FUNCTION ledger_hold_answer(status text, replayed boolean, h ledger_hold, account bigint)
RETURNS ledger_hold_answer LANGUAGE sql STABLE AS $$
    SELECT ledger_hold_answer.status, ledger_hold_answer.replayed, a.posted, a.held, c.exponent::int, h
    FROM ledger_account a JOIN backoffice_currency c ON c.code = a.currency_id WHERE a.id = account
$$;

-- `source` is the hold this one takes over from, or null. Its funds pass over inside the one lock.
CREATE FUNCTION ledger_hold_place(
    source bigint, account bigint, draft jsonb, by_name text, by_user bigint, correlation text
) RETURNS ledger_hold_answer LANGUAGE plpgsql AS $$
DECLARE
    a ledger_account;
    h ledger_hold;
    old ledger_hold;
    size numeric := (draft ->> 'amount')::numeric;
    placed timestamptz := (draft ->> 'at')::timestamptz;
    new_id bigint;
BEGIN
    SELECT * INTO old FROM ledger_hold WHERE id = source;
    PERFORM 1 FROM ledger_account WHERE id IN (account, old.account_id) ORDER BY id FOR NO KEY UPDATE;
    SELECT * INTO h FROM ledger_hold WHERE key = draft ->> 'key';
    IF FOUND THEN
        RETURN ledger_hold_answer(CASE WHEN h.content_hash = draft ->> 'hash' THEN 'placed' ELSE 'key_reused' END,
                                  true, h, h.account_id);
    END IF;
    SELECT * INTO a FROM ledger_account WHERE id = account;
    IF NOT FOUND THEN
        RETURN ROW ('unknown_account', false, 0, 0, 0, NULL)::ledger_hold_answer;
    END IF;
    IF source IS NOT NULL THEN
        SELECT * INTO old FROM ledger_hold WHERE id = source;  -- again, now that its account is locked
        IF old.state IS DISTINCT FROM 'held' THEN
            RETURN ledger_hold_answer('hold_resolved', false, old, account);
        END IF;
        IF (SELECT (o.book, o.currency_id) <> (a.book, a.currency_id) FROM ledger_account o WHERE o.id = old.account_id)
        THEN
            RETURN ledger_hold_answer('mixed_books', false, old, account);
        END IF;
    END IF;
    IF a.is_closed THEN
        RETURN ledger_hold_answer('account_closed', false, old, account);
    END IF;
    IF size <= 0 OR size <> round(size, (SELECT exponent FROM backoffice_currency WHERE code = a.currency_id)) THEN
        RETURN ledger_hold_answer('invalid_amount', false, old, account);
    END IF;
    IF a.posted - a.held + (CASE WHEN old.account_id = account THEN old.amount ELSE 0 END) < size THEN
        RETURN ledger_hold_answer('insufficient_funds', false, old, account);
    END IF;

    new_id := nextval('ledger_hold_id_seq');
    IF source IS NOT NULL THEN
        UPDATE ledger_hold SET state = 'transferred', transferred_to_id = new_id, resolved_at = placed,
                               resolved_by = by_name
            WHERE id = source;
        PERFORM ledger_hold_event('hold.transferred', old, by_name, by_user, placed, draft ->> 'key', correlation,
                                  (draft ->> 'uuid')::uuid);
    END IF;
    INSERT INTO ledger_hold (id, uuid, account_id, amount, purpose, key, content_hash, state, captured_amount,
                             placed_at, expires_at, by, by_user_id, resolved_by, subject_type, subject_id, client_id)
        VALUES (new_id, (draft ->> 'uuid')::uuid, account, size, draft ->> 'purpose', draft ->> 'key',
                draft ->> 'hash', 'held', 0, placed, (draft ->> 'expires_at')::timestamptz, by_name, by_user, '',
                draft ->> 'subject_type', (draft ->> 'subject_id')::uuid, (draft ->> 'client_id')::uuid)
        RETURNING * INTO h;
    PERFORM ledger_hold_event('hold.placed', h, by_name, by_user, placed, h.key, correlation);
    RETURN ledger_hold_answer('placed', false, h, account);
END $$;

CREATE FUNCTION ledger_hold_release(
    target bigint, account bigint, by_name text, by_user bigint, at timestamptz, correlation text
) RETURNS ledger_hold_answer LANGUAGE plpgsql AS $$
DECLARE
    h ledger_hold;
BEGIN
    PERFORM 1 FROM ledger_account WHERE id = account FOR NO KEY UPDATE;
    UPDATE ledger_hold SET state = 'released', resolved_at = at, resolved_by = by_name
        WHERE id = target AND account_id = account AND state = 'held' RETURNING * INTO h;
    IF FOUND THEN
        PERFORM ledger_hold_event('hold.released', h, by_name, by_user, at, '', correlation);
        RETURN ledger_hold_answer('released', false, h, account);
    END IF;
    SELECT * INTO h FROM ledger_hold WHERE id = target;
    RETURN ledger_hold_answer(CASE WHEN h.state = 'released' THEN 'released' ELSE 'hold_resolved' END, true, h, account);
END $$;

CREATE FUNCTION ledger_holds_expire(
    due_at timestamptz, most int, by_name text, correlation text
) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    due bigint[];
    h ledger_hold;
    n int := 0;
BEGIN
    SELECT array_agg(x.id) INTO due FROM (
        SELECT id FROM ledger_hold WHERE state = 'held' AND expires_at <= due_at ORDER BY expires_at LIMIT most) x;
    PERFORM 1 FROM ledger_account
        WHERE id IN (SELECT account_id FROM ledger_hold WHERE id = ANY (due)) ORDER BY id FOR NO KEY UPDATE;
    FOR h IN
        UPDATE ledger_hold SET state = 'expired', resolved_at = due_at, resolved_by = by_name
            WHERE id = ANY (due) AND state = 'held' RETURNING *
    LOOP
        PERFORM ledger_hold_event('hold.expired', h, by_name, NULL, due_at, '', correlation);
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;
