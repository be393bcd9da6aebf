-- name: join
INSERT OR REPLACE INTO instance (id, host, pid, version, webhooks, started_at, seen_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: beat
UPDATE instance SET seen_at = ?2 WHERE id = ?1;

-- name: leave
DELETE FROM instance WHERE id = ?1;

-- name: other_instances
SELECT id FROM instance WHERE id <> ?1
UNION SELECT instance FROM lease WHERE instance <> ?1;

-- name: forget
DELETE FROM instance WHERE id IN (SELECT value FROM json_each(?1));

-- name: take_posts
-- Posts of the instances in ?2 go to ?1.
UPDATE post SET instance = ?1 WHERE reason IS NULL AND instance IN (SELECT value FROM json_each(?2));

-- name: all_instances
SELECT id, host, pid, version, webhooks, started_at, seen_at FROM instance ORDER BY started_at, id;
