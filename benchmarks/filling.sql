-- Many trades at once, each as its verbs would have left it: the trade, its hold, its two journal entries with their
-- postings and balances, and its events. Triggers are off meanwhile (`session_replication_role`), so whoever fills
-- verifies the books afterwards. Parameters: how many, at most how many of them with hold, entries and events, and how
-- many numbers to leave free before them for older ones; -1 for those older ones.

-- Whose trades: filled by `filling.py` with one row for each account, numbered from 0.
--   crowd (place, account_id, client_id, client_uuid, instrument_id, cash_id, stakes_id, result_id)

CREATE TEMP TABLE drawn AS
SELECT n,
       c.*,
       began + n * gap AS placed_at,
       began + n * gap + interval '0.2 s' AS bought_at,
       began + n * gap + interval '12 s' AS settled_at,
       (n / crowd_size) %% 2 = 0 AS won,
       n >= many - told AS is_told,
       10.00::numeric AS stake, 19.53::numeric AS payout,
       (lpad(to_hex((extract(epoch FROM began + n * gap) * 1000)::bigint), 12, '0') || '7' || substr(h, 1, 3) || '8'
           || substr(h, 4, 15))::uuid AS uuid,
       first_trade + n AS trade_id, first_contract + n AS contract_id
FROM (SELECT %(many)s::bigint AS many, %(told)s::bigint AS told, %(began)s::timestamptz AS began,
             %(gap)s::interval AS gap, (SELECT count(*) FROM crowd) AS crowd_size,
             (SELECT CASE WHEN %(room)s >= 0 THEN coalesce(max(id), 0) + 1 + %(room)s ELSE min(id) - %(many)s END
              FROM brokerage_trade) AS first_trade,
             (SELECT coalesce(max(contract_id), 0) + 1000000 FROM brokerage_trade) AS first_contract) given
CROSS JOIN LATERAL generate_series(0, many - 1) n
CROSS JOIN LATERAL md5(n::text || first_trade::text) h
JOIN crowd c ON c.place = n %% crowd_size;
ANALYZE drawn;

-- What is booked of the last `told` of them: for each trade a hold, two entries, and four or five postings.
CREATE TEMP TABLE booked AS
SELECT d.*, row_number() OVER (ORDER BY n) - 1 AS place_told FROM drawn d WHERE is_told;
CREATE TEMP TABLE firsts AS
SELECT (SELECT coalesce(max(id), 0) + 1 FROM ledger_hold) AS hold,
       (SELECT coalesce(max(id), 0) + 1 FROM ledger_entry) AS entry,
       (SELECT coalesce(max(id), 0) + 1 FROM ledger_posting) AS posting,
       (SELECT coalesce(max(id), 0) + 1 FROM backoffice_event) AS event;

INSERT INTO ledger_hold (id, uuid, account_id, amount, purpose, key, content_hash, state, captured_amount,
                         captured_by_id, placed_at, resolved_at, by, resolved_by, subject_type, subject_id, client_id)
SELECT f.hold + place_told, md5('hold' || b.uuid)::uuid, cash_id, stake, 'stake', 'trade:' || b.uuid || ':hold', '',
       'captured', stake, f.entry + 2 * place_told, placed_at, bought_at, 'system:filling', 'system:filling', 'trade',
       b.uuid, client_uuid
FROM booked b, firsts f;

INSERT INTO ledger_entry (id, uuid, book, kind, reference, narration, key, content_hash, by, effective_at,
                          recorded_at, business_date, subject_type, subject_id, client_id)
SELECT f.entry + 2 * place_told + e.late, md5(e.name || b.uuid)::uuid, 'demo_mirror',
       CASE WHEN e.late = 0 THEN 'stake' WHEN won THEN 'contract_won' ELSE 'contract_lost' END, contract_id::text,
       CASE WHEN e.late = 0 THEN 'Stake of contract ' || contract_id
            ELSE 'Contract ' || contract_id || CASE WHEN won THEN ' won' ELSE ' lost' END END,
       'trade:' || b.uuid || ':' || e.name, '', 'system:filling',
       CASE e.late WHEN 0 THEN bought_at ELSE settled_at END, CASE e.late WHEN 0 THEN bought_at ELSE settled_at END,
       (CASE e.late WHEN 0 THEN bought_at ELSE settled_at END AT TIME ZONE 'UTC')::date, 'trade', b.uuid, client_uuid
FROM booked b, firsts f, (VALUES (0, 'bought'), (1, 'settled')) e (late, name)
ORDER BY 1;

CREATE TEMP TABLE lines AS
SELECT row_number() OVER (ORDER BY n, late, line) - 1 AS place_line, f.entry + 2 * place_told + late AS entry_id,
       line::int, l.holder AS account_id, side, amount
FROM booked b, firsts f, LATERAL (
    SELECT 0 AS late, 1 AS line, cash_id AS holder, 'debit' AS side, stake AS amount
    UNION ALL SELECT 0, 2, stakes_id, 'credit', stake
    UNION ALL SELECT 1, 1, stakes_id, 'debit', stake
    UNION ALL SELECT 1, 2, cash_id, 'credit', payout WHERE won
    UNION ALL SELECT 1, 3, result_id, 'debit', payout - stake WHERE won
    UNION ALL SELECT 1, 2, result_id, 'credit', stake WHERE NOT won) l;

INSERT INTO ledger_posting (id, entry_id, account_id, currency_id, line, side, amount, balance_after)
SELECT f.posting + place_line, entry_id, account_id, a.currency_id, line, side, amount,
       a.posted + sum(CASE WHEN (side = 'debit') = (a.kind IN ('asset', 'expense')) THEN amount ELSE -amount END)
           OVER (PARTITION BY account_id ORDER BY place_line)
FROM firsts f, lines l JOIN ledger_account a ON a.id = l.account_id
ORDER BY 1;

UPDATE ledger_account a SET posted = a.posted + moved.change, version = a.version + moved.many
FROM (SELECT l.account_id, count(DISTINCT entry_id) AS many,
             sum(CASE WHEN (side = 'debit') = (r.kind IN ('asset', 'expense')) THEN amount ELSE -amount END) AS change
      FROM lines l JOIN ledger_account r ON r.id = l.account_id GROUP BY l.account_id) moved
WHERE a.id = moved.account_id;

INSERT INTO brokerage_trade (
    id, uuid, client_id, account_id, instrument_id, side, stake, currency, duration, duration_unit, source, state,
    version, key, content_hash, correlation_id, hold_id, contract_id, proposal_id, purchase_transaction_id,
    sale_transaction_id, buy_price, payout, offered_payout, proceeds, profit, generation, markup, entry_spot,
    exit_spot, problem_code, problem, placed_at, changed_at, submitted_at, purchased_at, expires_at, settled_at,
    confirmed_at)
SELECT d.trade_id, d.uuid, d.client_id, d.account_id, instrument_id, CASE WHEN n %% 2 = 0 THEN 'CALL' ELSE 'PUT' END,
       stake, 'USD', 5, 't', 'client', CASE WHEN won THEN 'won' ELSE 'lost' END, 4, 'filled-' || d.trade_id, '',
       'filled' || lpad(d.trade_id::text, 12, '0'), f.hold + b.place_told, contract_id, 'filled',
       2 * contract_id, 2 * contract_id + 1, stake, payout, payout, CASE WHEN won THEN payout ELSE 0 END,
       CASE WHEN won THEN payout - stake ELSE -stake END, 'v4', 0, 1234.56, 1234.65, '', '', placed_at, settled_at,
       bought_at - interval '0.1 s', bought_at, settled_at, settled_at, settled_at
FROM firsts f, drawn d LEFT JOIN (SELECT trade_id, place_told FROM booked) b USING (trade_id)
ORDER BY d.trade_id;

INSERT INTO backoffice_event (id, name, version, subject_type, subject_id, subject_version, client_id, by, at,
                              recorded_at, key, correlation_id, payload)
SELECT f.event + 4 * place_told + e.place, e.name, 1, 'trade', b.uuid, e.place + 1, client_uuid, 'system:filling',
       CASE e.place WHEN 3 THEN settled_at WHEN 0 THEN placed_at ELSE bought_at END,
       CASE e.place WHEN 3 THEN settled_at WHEN 0 THEN placed_at ELSE bought_at END,
       '', 'filled' || lpad(trade_id::text, 12, '0'),
       jsonb_build_object('state', CASE e.place WHEN 3 THEN CASE WHEN won THEN 'won' ELSE 'lost' END ELSE e.state END)
FROM booked b, firsts f, (VALUES (0, 'trade.placed', 'queued'), (1, 'trade.submitted', 'submitting'),
                                 (2, 'trade.opened', 'open'), (3, 'trade.settled', '')) e (place, name, state)
ORDER BY 1;
