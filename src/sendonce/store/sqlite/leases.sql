-- name: add
INSERT INTO lease (instance, contract, sender, lo, seqs, size, allowed, granted_at, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8) RETURNING id;

-- name: find
SELECT id, instance, contract, sender, lo, seqs, size, started, allowed, granted_at, expires_at
FROM lease WHERE id = ?1;

-- name: all
SELECT id, instance, contract, sender, lo, seqs, size, started, allowed, granted_at, expires_at FROM lease;

-- name: of_contract
SELECT id, instance, contract, sender, lo, seqs, size, started, allowed, granted_at, expires_at
FROM lease WHERE contract = ?1;

-- name: of_sender
SELECT id, instance, contract, sender, lo, seqs, size, started, allowed, granted_at, expires_at
FROM lease WHERE sender = ?1;

-- name: overdue
SELECT id, instance, contract, sender, lo, seqs, size, started, allowed, granted_at, expires_at
FROM lease WHERE expires_at <= ?1 OR instance IN (SELECT value FROM json_each(?2)) ORDER BY id LIMIT ?3;

-- name: cut
UPDATE lease SET allowed = ?2 WHERE id = ?1;

-- name: raise_to
UPDATE lease SET started = ?2 WHERE id = ?1;

-- name: drop
DELETE FROM lease WHERE id = ?1;
