-- name: head
SELECT no, id, spec FROM contract WHERE id = ?1 AND deleting = 0;

-- name: head_by_no
SELECT no, id, spec FROM contract WHERE no = ?1;

-- name: facts
SELECT id, state, causes, sealed, total, next_seq, served, created_at, started_at, rewound_at, deleting
FROM contract WHERE no = ?1;

-- name: read
SELECT id, no, spec, state, total, waiting, active, delayed, unknown, completed, failed, skipped, cancelled, attempts,
       columns, sealed, causes, duplicates, refused, doubled, sent, delivered, read,
       created_at, started_at, finished_at, deleting
FROM contract WHERE id = ?1 AND deleting = 0;

-- name: page
-- Newest first, after id ?1 if it is given.
SELECT id, no, spec, state, total, waiting, active, delayed, unknown, completed, failed, skipped, cancelled, attempts,
       columns, sealed, causes, duplicates, refused, doubled, sent, delivered, read,
       created_at, started_at, finished_at, deleting
FROM contract WHERE deleting = 0 AND (?1 IS NULL OR id < ?1) ORDER BY id DESC LIMIT ?2;

-- name: page_in_state
SELECT id, no, spec, state, total, waiting, active, delayed, unknown, completed, failed, skipped, cancelled, attempts,
       columns, sealed, causes, duplicates, refused, doubled, sent, delivered, read,
       created_at, started_at, finished_at, deleting
FROM contract WHERE deleting = 0 AND state = ?3 AND (?1 IS NULL OR id < ?1) ORDER BY id DESC LIMIT ?2;

-- name: id_taken
SELECT EXISTS (SELECT 1 FROM contract WHERE id = ?1);

-- name: create
INSERT INTO contract (id, spec, state, priority, created_at) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING no;

-- name: add_sender
INSERT INTO contract_sender (contract, sender);

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

-- name: save_refusals
INSERT OR REPLACE INTO refusal (contract, row, value, reason);

-- name: refusals
SELECT row, value, reason FROM refusal WHERE contract = ?1 AND row > ?2 ORDER BY row LIMIT ?3;

-- name: seal
UPDATE contract SET sealed = 1, total = imported, next_seq = 1, duplicates = ?3
WHERE no = ?1 AND generation = ?2 AND sealed = 0 AND state = 0 AND deleting = 0 RETURNING total;

-- name: next_of
-- The contract of sender ?1 that is next: the highest priority, then the least served share. With whether retries are
-- due at ?2 and its first freed range. Reads the runnable contracts only, so the backlog does not matter. The `+` keeps
-- the column's affinity from hiding the index on the expression.
SELECT c.no, c.id, c.next_seq, c.total, c.retry_turn,
       EXISTS (SELECT 1 FROM message AS m WHERE m.key >> 32 = +c.no AND m.due <= ?2) AS has_due,
       f.lo, f.hi
FROM contract AS c
LEFT JOIN freed AS f ON f.contract = c.no AND f.lo = (SELECT min(lo) FROM freed WHERE contract = c.no)
WHERE c.state IN (2, 3) AND c.deleting = 0
  AND EXISTS (SELECT 1 FROM contract_sender AS cs WHERE cs.contract = c.no AND cs.sender = ?1)
  AND (c.next_seq <= c.total OR f.lo IS NOT NULL OR has_due)
ORDER BY c.priority DESC, c.served LIMIT 1;

-- name: next_due
-- The next retry due after ?1 of the contracts that may run.
SELECT min((SELECT min(m.due) FROM message AS m WHERE m.key >> 32 = +c.no AND m.due > ?1))
FROM contract AS c WHERE c.state IN (2, 3);

-- name: note_served
UPDATE contract SET served = served + :size, retry_turn = :turn,
    state = iif(state = :waiting, :active, state), started_at = coalesce(started_at, :wall)
WHERE no = :contract;

-- name: least_served
SELECT coalesce((SELECT min(served) FROM contract WHERE state IN (2, 3) AND no <> ?1), 0);

-- name: complete
UPDATE contract SET state = ?1, causes = '[]', finished_at = ?2 WHERE no = ?3;

-- name: reopen
UPDATE contract SET state = iif(causes = '[]', ?1, ?2), finished_at = NULL WHERE no = ?3;

-- name: tally
SELECT waiting, active, delayed, unknown, completed, failed, skipped, cancelled FROM tally;

-- name: by_state
SELECT state, count(*) FROM contract WHERE deleting = 0 GROUP BY state;

-- name: with_failures
SELECT no FROM contract WHERE failed > 0 AND deleting = 0 AND state NOT IN (6, 7) ORDER BY no;

-- name: living
SELECT id, no, state FROM contract WHERE deleting = 0;

-- name: living_among
-- Numbers of the contracts with these ids (a JSON array) that are not deleted.
SELECT c.id, c.no FROM json_each(?1) AS wanted CROSS JOIN contract AS c ON c.id = wanted.value WHERE c.deleting = 0;

-- name: frozen
-- Contracts that stand still because history was lost, newest first.
SELECT id FROM contract WHERE deleting = 0 AND causes LIKE '%"rewound%' ORDER BY id DESC;

-- name: delete_refusals
DELETE FROM refusal WHERE contract = ?1;

-- name: delete_senders
DELETE FROM contract_sender WHERE contract = ?1;

-- name: delete_freed
DELETE FROM freed WHERE contract = ?1;

-- name: delete_contract
DELETE FROM contract WHERE no = ?1;
