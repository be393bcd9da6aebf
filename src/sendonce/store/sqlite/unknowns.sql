-- name: note_unknown
INSERT OR REPLACE INTO unknown (key, sender, cause, from_at, until_at) VALUES (?1, ?2, ?3, ?4, ?5);

-- name: drop_unknown
DELETE FROM unknown WHERE key IN (SELECT value FROM json_each(?1));

-- name: oldest_unknown
-- Unknown messages that cannot have been started after ?1 and are to be looked at by ?2.
SELECT key, sender, from_at, until_at FROM unknown WHERE until_at <= ?1 AND look_at <= ?2 ORDER BY look_at LIMIT ?3;

-- name: look_later
UPDATE unknown SET look_at = ?2 WHERE key IN (SELECT value FROM json_each(?1));

-- name: note_flow
INSERT INTO flow (sender, bucket, accepted, receipted) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET accepted = accepted + excluded.accepted, receipted = receipted + excluded.receipted;

-- name: flow_between
SELECT coalesce(sum(accepted), 0), coalesce(sum(receipted), 0) FROM flow
WHERE sender = ?1 AND bucket BETWEEN ?2 AND ?3;

-- name: posts_waiting
SELECT EXISTS (SELECT 1 FROM post WHERE reason IS NULL);

-- name: latest_unexplained
-- Store time (?1 from wall time) of the latest post or receipt that nothing explains; 0 if there is none.
SELECT max(coalesce((SELECT max(received_at) + ?1 FROM post WHERE reason IS NOT NULL), 0),
           coalesce((SELECT max(received_at) FROM stray WHERE hash IS NOT NULL), 0));

-- name: contract_state
SELECT state FROM contract WHERE no = ?1;
