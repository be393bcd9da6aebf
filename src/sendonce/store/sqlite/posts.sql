-- name: keep
INSERT INTO post (instance, channel, body, received_at, came_at);

-- name: waiting
SELECT id, channel, body, received_at FROM post WHERE instance = ?1 AND reason IS NULL ORDER BY id LIMIT ?2;

-- name: any_waiting
SELECT EXISTS (SELECT 1 FROM post WHERE reason IS NULL);

-- name: came_at
-- When the first of these posts came, in store time.
SELECT coalesce(min(came_at), 0) FROM post WHERE id IN (SELECT value FROM json_each(?1));

-- name: drop
DELETE FROM post WHERE id IN (SELECT value FROM json_each(?1));

-- name: set_aside
UPDATE post SET reason = ?2 WHERE id = ?1;

-- name: set_aside_count
SELECT count(*) FROM post WHERE reason IS NOT NULL;

-- name: take
-- Posts of the instances in ?2 go to ?1.
UPDATE post SET instance = ?1 WHERE reason IS NULL AND instance IN (SELECT value FROM json_each(?2));
