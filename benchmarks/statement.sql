-- A bank's statement booked by bare SQL, in tables without triggers and foreign keys (`bare.py`): what our import does, with
-- every line, duplicate, entry, posting, balance and event. `came` has the file's lines, put there by COPY; the references
-- they name are found already. Nothing is checked: neither that entries balance nor that a day is open.
CREATE TEMP TABLE fresh ON COMMIT DROP AS
SELECT c.*, (SELECT coalesce(max(id), 0) FROM bare.ledger_entry) + row_number() OVER (ORDER BY c.place) AS n,
       gen_random_uuid() AS entry_uuid, gen_random_uuid() AS line_uuid, d.id AS deposit_id, d.uuid AS deposit_uuid,
       d.client_id, d.wallet_id, k.uuid AS client_uuid
FROM came c
LEFT JOIN bare.ledger_deposit d ON d.reference = c.reference AND d.state = 'pending'
LEFT JOIN compliance_client k ON k.id = d.client_id
WHERE NOT EXISTS (SELECT 1 FROM bare.ledger_bankline l
                  WHERE l.bank_account_id = %(account)s AND l.fingerprint = c.fingerprint);

INSERT INTO bare.ledger_entry (id, uuid, book, kind, reference, narration, key, content_hash, by, effective_at,
                               business_date, subject_type, subject_id, client_id)
SELECT n, entry_uuid, 'real', CASE WHEN deposit_id IS NOT NULL THEN 'deposit' ELSE 'bank_' || direction END,
       coalesce(nullif(reference, ''), bank_id), 'On the statement, line ' || place, 'bank_line:' || fingerprint, fingerprint,
       'system:benchmark', %(at)s, (%(at)s AT TIME ZONE 'UTC')::date,
       CASE WHEN deposit_id IS NOT NULL THEN 'deposit' ELSE 'bank_line' END, coalesce(deposit_uuid, line_uuid), client_uuid
FROM fresh;

CREATE TEMP TABLE lines ON COMMIT DROP AS
SELECT n, 1 AS line, CASE direction WHEN 'in' THEN %(bank)s ELSE %(unmatched_out)s END AS account_id, 'debit' AS side, amount
FROM fresh
UNION ALL
SELECT n, 2, CASE direction WHEN 'in' THEN coalesce(wallet_id, %(suspense)s) ELSE %(bank)s END, 'credit', amount FROM fresh;

INSERT INTO bare.ledger_posting (id, entry_id, account_id, currency_id, line, side, amount, balance_after)
SELECT (SELECT coalesce(max(id), 0) FROM bare.ledger_posting) + row_number() OVER (ORDER BY n, line), n, account_id,
       a.currency_id, line, side, amount,
       a.posted + sum(CASE WHEN (side = 'debit') = (a.kind IN ('asset', 'expense')) THEN amount ELSE -amount END)
           OVER (PARTITION BY account_id ORDER BY n, line)
FROM lines JOIN bare.ledger_account a ON a.id = account_id;

UPDATE bare.ledger_account a SET posted = a.posted + moved.change, version = a.version + moved.many
FROM (SELECT r.id, count(*) AS many,
             sum(CASE WHEN (side = 'debit') = (r.kind IN ('asset', 'expense')) THEN amount ELSE -amount END) AS change
      FROM lines l JOIN bare.ledger_account r ON r.id = l.account_id GROUP BY r.id) moved
WHERE a.id = moved.id;

INSERT INTO bare.ledger_bankline (uuid, statement_id, bank_account_id, place, fingerprint, direction, amount, booked_on,
                                  value_on, is_reversal, text, counterparty, counterparty_iban, end_to_end_id, bank_id, state,
                                  reason, deposit_id, entry_id, imported_at, changed_at)
SELECT line_uuid, %(statement)s, %(account)s, place, fingerprint, direction, amount, booked_on, booked_on, false, text,
       counterparty, counterparty_iban, '', bank_id,
       CASE WHEN deposit_id IS NOT NULL THEN 'matched' WHEN direction = 'in' THEN 'suspense' ELSE 'unmatched_out' END,
       'By its reference', deposit_id, n, %(at)s, %(at)s
FROM fresh;

UPDATE bare.ledger_deposit d
SET state = 'completed', received = f.amount, entry_id = f.n, external_id = f.bank_id, completed_at = %(at)s, changed_at = %(at)s
FROM fresh f WHERE d.id = f.deposit_id;

INSERT INTO bare.compliance_activity (uuid, kind, client_id, currency_id, amount, subject_type, subject_id, at, counts)
SELECT gen_random_uuid(), 'deposit', client_id, %(currency)s, amount, 'deposit', deposit_uuid, %(at)s, true
FROM fresh WHERE deposit_id IS NOT NULL;

INSERT INTO bare.backoffice_event (name, version, subject_type, subject_id, client_id, by, at, key, correlation_id, payload)
SELECT 'journal.posted', 1, 'entry', entry_uuid, client_uuid, 'system:benchmark', %(at)s, '', '',
       jsonb_build_object('book', 'real', 'amount', amount::text, 'reference', reference, 'lines',
           jsonb_build_array('debit ' || amount, 'credit ' || amount))
FROM fresh
UNION ALL
SELECT 'deposit.completed', 1, 'deposit', deposit_uuid, client_uuid, 'system:benchmark', %(at)s, '', '',
       jsonb_build_object('amount', amount::text, 'state', 'completed', 'entry', entry_uuid)
FROM fresh WHERE deposit_id IS NOT NULL;
