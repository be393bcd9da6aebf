-- name: join
INSERT OR REPLACE INTO instance (id, host, pid, version, webhooks, started_at, seen_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: beat
UPDATE instance SET seen_at = ?2 WHERE id = ?1;

-- name: others
SELECT id FROM instance WHERE id <> ?1
UNION SELECT instance FROM lease WHERE instance <> ?1;

-- name: forget
DELETE FROM instance WHERE id IN (SELECT value FROM json_each(?1));

-- name: all
SELECT id, host, pid, version, webhooks, started_at, seen_at FROM instance ORDER BY started_at, id;
