-- name: contract
SELECT id, no, spec, state, total, waiting, active, delayed, unknown, completed, failed, skipped, cancelled, attempts,
       columns, sealed, causes, duplicates, refused, doubled, sent, delivered, read,
       created_at, started_at, finished_at, deleting
FROM contract WHERE id = ?1 AND deleting = 0;

-- name: contracts
-- Newest first, after id ?1 if it is given.
SELECT id, no, spec, state, total, waiting, active, delayed, unknown, completed, failed, skipped, cancelled, attempts,
       columns, sealed, causes, duplicates, refused, doubled, sent, delivered, read,
       created_at, started_at, finished_at, deleting
FROM contract WHERE deleting = 0 AND (?1 IS NULL OR id < ?1) ORDER BY id DESC LIMIT ?2;

-- name: contracts_in_state
SELECT id, no, spec, state, total, waiting, active, delayed, unknown, completed, failed, skipped, cancelled, attempts,
       columns, sealed, causes, duplicates, refused, doubled, sent, delivered, read,
       created_at, started_at, finished_at, deleting
FROM contract WHERE deleting = 0 AND state = ?3 AND (?1 IS NULL OR id < ?1) ORDER BY id DESC LIMIT ?2;

-- name: sender_no
SELECT no FROM sender WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 1;

-- name: id_taken
SELECT EXISTS (SELECT 1 FROM contract WHERE id = ?1);

-- name: create
INSERT INTO contract (id, spec, state, priority, created_at) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING no;

-- name: add_sender
INSERT INTO contract_sender (contract, sender);

-- name: made_before
SELECT fingerprint, made FROM once WHERE key = ?1;

-- name: remember
INSERT INTO once (key, fingerprint, made, at) VALUES (?1, ?2, ?3, ?4);

-- name: begin_import
UPDATE contract SET columns = ?2, sealed = 0, total = 0, imported = 0, duplicates = 0, refused = 0,
                    generation = generation + 1
WHERE no = ?1 RETURNING generation;

-- name: drop_refusals
DELETE FROM refusal WHERE contract = ?1;

-- name: note_rows
-- Count rows of the latest import; answers how many there are now, or nothing when the import is stale.
UPDATE contract SET imported = imported + ?3, refused = refused + ?4
WHERE no = ?1 AND generation = ?2 AND sealed = 0 AND state = 0 AND deleting = 0 RETURNING imported;

-- name: save_recipients
INSERT OR REPLACE INTO recipient (key, "to", variables);

-- name: save_refusals
INSERT OR REPLACE INTO refusal (contract, row, value, reason);

-- name: seal
UPDATE contract SET sealed = 1, total = imported, next_seq = 1, duplicates = ?3
WHERE no = ?1 AND generation = ?2 AND sealed = 0 AND state = 0 AND deleting = 0 RETURNING total;

-- name: rows_behind
SELECT EXISTS (SELECT 1 FROM recipient WHERE key > ?1 AND key < ?2);

-- name: start
-- A newcomer starts level with the least served, so that it neither waits for nor holds up the others. One with causes
-- (?3: paused) starts paused.
UPDATE contract SET state = iif(causes = '[]', ?2, ?3), served = coalesce(
    (SELECT min(served) FROM contract WHERE state IN (2, 3) AND no <> ?1), 0)
WHERE no = ?1;

-- name: resume
UPDATE contract SET state = ?2, causes = ?3, served = max(served, coalesce(
    (SELECT min(served) FROM contract WHERE state IN (2, 3) AND no <> ?1), 0))
WHERE no = ?1;

-- name: last_stray
-- The last receipt that was set aside for contract ?1.
SELECT max(id) FROM stray WHERE hash IS NULL AND receipt ->> '$.token.contract' = ?1;

-- name: unstarted
-- Messages that were never leased, or came back as a range.
SELECT c.total - c.next_seq + 1 + coalesce((SELECT sum(hi - lo + 1) FROM freed WHERE contract = c.no), 0)
FROM contract AS c WHERE c.no = ?1;

-- name: drop_all_freed
DELETE FROM freed WHERE contract = ?1;

-- name: cancel
UPDATE contract SET state = ?2, causes = '[]', finished_at = ?3 WHERE no = ?1;

-- name: delete
UPDATE contract SET deleting = 1 WHERE no = ?1;

-- name: drop_plans
-- Whatever was still to be done in pieces is overtaken by the deletion.
DELETE FROM bulk WHERE contract = ?1;
