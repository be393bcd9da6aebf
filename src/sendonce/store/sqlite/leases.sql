-- name: senders_with_budget
-- Senders that are not paused and have a free slot before ?1, the longest unserved first.
SELECT s.no, s.rate
FROM sender AS s JOIN account AS a ON a.no = s.account
WHERE s.causes = '[]' AND a.causes = '[]' AND s.next_slot <= ?1
ORDER BY s.next_slot;

-- name: next_contract
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

-- name: next_moment
-- The next slot of a sender whose budget is spent until after ?1, and the next retry due after ?2.
SELECT (SELECT min(s.next_slot) FROM sender AS s JOIN account AS a ON a.no = s.account
        WHERE s.causes = '[]' AND a.causes = '[]' AND s.next_slot > ?1),
       (SELECT min((SELECT min(m.due) FROM message AS m WHERE m.key >> 32 = +c.no AND m.due > ?2))
        FROM contract AS c WHERE c.state IN (2, 3));

-- name: due_retries
-- Messages of contract ?1 due at ?2, the longest due first: key, number of the next attempt, tries.
SELECT key, attempt + 1, tries FROM message WHERE key >> 32 = ?1 AND due <= ?2 ORDER BY due, key LIMIT ?3;

-- name: take_from_due_index
UPDATE message SET due = NULL WHERE key IN (SELECT value FROM json_each(?1));

-- name: due_again
-- Retries that were leased and not started. One that was settled meanwhile stays settled.
UPDATE message SET due = ?2 WHERE key IN (SELECT value FROM json_each(?1)) AND state IN (0, 2) AND due IS NULL;

-- name: move_cursor
UPDATE contract SET next_seq = ?2 WHERE no = ?1;

-- name: take_slots
-- GCRA: the sender's slots go on from its last one, or from now.
UPDATE sender SET next_slot = max(next_slot, ?2) + ?3 WHERE no = ?1 RETURNING next_slot;

-- name: insert_lease
INSERT INTO lease (instance, contract, sender, lo, seqs, size, allowed, granted_at, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8) RETURNING id;

-- name: note_served
UPDATE contract SET served = served + :size, retry_turn = :turn,
    state = iif(state = :waiting, :active, state), started_at = coalesce(started_at, :wall)
WHERE no = :contract;

-- name: lease_by_id
SELECT id, instance, contract, sender, lo, seqs, size, started, allowed, granted_at, expires_at
FROM lease WHERE id = ?1;

-- name: all_leases
SELECT id, instance, contract, sender, lo, seqs, size, started, allowed, granted_at, expires_at FROM lease;

-- name: leases_of_contract
SELECT id, instance, contract, sender, lo, seqs, size, started, allowed, granted_at, expires_at
FROM lease WHERE contract = ?1;

-- name: leases_of_sender
SELECT id, instance, contract, sender, lo, seqs, size, started, allowed, granted_at, expires_at
FROM lease WHERE sender = ?1;

-- name: overdue_leases
SELECT id, instance, contract, sender, lo, seqs, size, started, allowed, granted_at, expires_at
FROM lease WHERE expires_at <= ?1 OR instance IN (SELECT value FROM json_each(?2)) ORDER BY id LIMIT ?3;

-- name: cut_lease
UPDATE lease SET allowed = ?2 WHERE id = ?1;

-- name: raise_watermark
UPDATE lease SET started = ?2 WHERE id = ?1;

-- name: drop_lease
DELETE FROM lease WHERE id = ?1;

-- name: contract_state
SELECT state FROM contract WHERE no = ?1;

-- name: freed_below
-- The freed range that ends at ?2.
SELECT lo FROM freed WHERE contract = ?1 AND lo <= ?2 AND hi = ?2 ORDER BY lo DESC LIMIT 1;

-- name: freed_above
-- The freed range that starts at ?2.
SELECT hi, lo FROM freed WHERE contract = ?1 AND lo = ?2;

-- name: insert_freed
INSERT OR REPLACE INTO freed (contract, lo, hi) VALUES (?1, ?2, ?3);

-- name: drop_freed
DELETE FROM freed WHERE contract = ?1 AND lo = ?2;
