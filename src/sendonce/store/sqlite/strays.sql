-- name: keep
INSERT INTO stray (hash, receipt, received_at) VALUES (?1, ?2, ?3);

-- name: any
SELECT 1 FROM stray WHERE hash IS NOT NULL LIMIT 1;

-- name: latest
SELECT max(received_at) FROM stray WHERE hash IS NOT NULL;

-- name: of_hashes
SELECT s.id, s.receipt FROM json_each(?1) AS wanted CROSS JOIN stray AS s ON s.hash = wanted.value
WHERE s.hash IS NOT NULL ORDER BY s.id;

-- name: drop
DELETE FROM stray WHERE id IN (SELECT value FROM json_each(?1));

-- name: of_contract
SELECT id, receipt FROM stray
WHERE hash IS NULL AND receipt ->> '$.token.contract' = ?1 AND id <= ?2 ORDER BY id LIMIT ?3;

-- name: last
SELECT coalesce(max(id), 0) FROM stray;

-- name: last_of
-- The last receipt that was set aside for contract ?1.
SELECT max(id) FROM stray WHERE hash IS NULL AND receipt ->> '$.token.contract' = ?1;

-- name: latest_forgotten
-- The latest stray without a token among those that go.
SELECT max(received_at) FROM stray WHERE hash IS NOT NULL AND received_at < ?1;

-- name: forget
-- Strays without a token until ?1, with one until ?2.
DELETE FROM stray WHERE received_at < ?1 AND (hash IS NOT NULL OR received_at < ?2);

-- name: with_token
SELECT id, receipt FROM stray WHERE hash IS NULL;
