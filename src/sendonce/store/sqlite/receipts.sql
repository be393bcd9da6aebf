-- name: living_contracts
-- Numbers of the contracts with these ids (a JSON array) that are not deleted.
SELECT c.id, c.no FROM json_each(?1) AS wanted CROSS JOIN contract AS c ON c.id = wanted.value WHERE c.deleting = 0;

-- name: posts_to_apply
SELECT id, channel, body, received_at FROM post WHERE instance = ?1 AND reason IS NULL ORDER BY id LIMIT ?2;

-- name: drop_posts
DELETE FROM post WHERE id IN (SELECT value FROM json_each(?1));

-- name: quarantine
UPDATE post SET reason = ?2 WHERE id = ?1;

-- name: came_at
-- When the first of these posts came, in store time.
SELECT coalesce(min(came_at), 0) FROM post WHERE id IN (SELECT value FROM json_each(?1));
