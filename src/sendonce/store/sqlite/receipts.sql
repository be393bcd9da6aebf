-- name: receive
INSERT INTO post (instance, channel, body, received_at) VALUES (?1, ?2, ?3, ?4);

-- name: posts_to_apply
SELECT id, channel, body, received_at FROM post WHERE instance = ?1 AND reason IS NULL ORDER BY id LIMIT ?2;

-- name: drop_posts
DELETE FROM post WHERE id IN (SELECT value FROM json_each(?1));

-- name: quarantine
UPDATE post SET reason = ?2 WHERE id = ?1;

-- name: by_provider_id
-- The attempt that got this id: hashes can collide, ids cannot.
SELECT p.key, p.attempt FROM provider_id AS p
LEFT JOIN message AS m ON m.key = p.key AND m.attempt = p.attempt
LEFT JOIN attempt AS a ON a.key = p.key AND a.attempt = p.attempt
WHERE p.hash = ?1 AND coalesce(m.provider_id, a.provider_id) = ?2 LIMIT 1;

-- name: keep_stray
INSERT INTO stray (receipt, received_at) VALUES (?1, ?2);
