-- name: save_ids
INSERT OR IGNORE INTO provider_id (hash, key, attempt);

-- name: by_id
-- The attempt that got this id: hashes can collide, ids cannot.
SELECT p.key, p.attempt FROM provider_id AS p
LEFT JOIN message AS m ON m.key = p.key AND m.attempt = p.attempt
LEFT JOIN attempt AS a ON a.key = p.key AND a.attempt = p.attempt
WHERE p.hash = ?1 AND coalesce(m.provider_id, a.provider_id) = ?2
  AND EXISTS (SELECT 1 FROM contract AS c WHERE c.no = p.key >> 32 AND c.deleting = 0)
LIMIT 1;

-- name: keep_stray
INSERT INTO stray (hash, receipt, received_at) VALUES (?1, ?2, ?3);

-- name: any_stray
SELECT 1 FROM stray WHERE hash IS NOT NULL LIMIT 1;

-- name: strays_of
SELECT s.id, s.receipt FROM json_each(?1) AS wanted CROSS JOIN stray AS s ON s.hash = wanted.value
WHERE s.hash IS NOT NULL ORDER BY s.id;

-- name: drop_strays
DELETE FROM stray WHERE id IN (SELECT value FROM json_each(?1));

-- name: forget_strays
-- Strays without a token until ?1, with one until ?2.
DELETE FROM stray WHERE received_at < ?1 AND (hash IS NOT NULL OR received_at < ?2);
