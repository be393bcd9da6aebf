-- name: note_unknown
INSERT OR REPLACE INTO unknown (key, sender, cause, from_at, until_at, noted, look_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: next_noted
UPDATE tally SET noted = noted + 1 RETURNING noted;

-- name: drop_unknown
DELETE FROM unknown WHERE key IN (SELECT value FROM json_each(?1));

-- name: oldest_unknown
-- Unknown messages that cannot have been started after ?1 and are to be looked at by ?2.
SELECT key, sender, cause, from_at, until_at,
       (SELECT min(h.at) FROM heard AS h WHERE h.sender = unknown.sender AND h.at >= until_at)
FROM unknown
WHERE until_at <= ?1 AND look_at <= ?2 ORDER BY look_at LIMIT ?3;

-- name: look_later
UPDATE unknown SET look_at = ?2 WHERE key IN (SELECT value FROM json_each(?1));

-- name: contract_state
SELECT state FROM contract WHERE no = ?1;
