-- name: next_noted
UPDATE tally SET noted = noted + 1 RETURNING noted;

-- name: note
INSERT OR REPLACE INTO unknown (key, sender, cause, from_at, until_at, noted, look_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- name: drop
DELETE FROM unknown WHERE key IN (SELECT value FROM json_each(?1));

-- name: since
-- From when on an unknown message can have been handed over.
SELECT from_at FROM unknown WHERE key = ?1;

-- name: of
SELECT u.key, u.sender, u.cause, u.from_at, u.until_at
FROM json_each(?1) AS wanted CROSS JOIN unknown AS u WHERE u.key = wanted.value;

-- name: oldest
-- Unknown messages that cannot have been started after ?1 and are to be looked at by ?2.
SELECT key, sender, cause, from_at, until_at,
       (SELECT min(h.at) FROM heard AS h WHERE h.sender = unknown.sender AND h.at >= until_at)
FROM unknown
WHERE until_at <= ?1 AND look_at <= ?2 ORDER BY look_at LIMIT ?3;

-- name: look_later
UPDATE unknown SET look_at = ?2 WHERE key IN (SELECT value FROM json_each(?1));

-- name: between
-- Unknown messages between two keys.
SELECT key FROM unknown WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3;

-- name: last_noted
SELECT noted FROM tally;

-- name: count
SELECT count(*) FROM unknown AS u
WHERE u.key > :after AND u.key <= :end AND u.noted <= :noted
  AND (:sender IS NULL OR u.sender = :sender)
  AND (:cause IS NULL OR u.cause = :cause)
  AND (:recipient IS NULL OR (SELECT r."to" FROM recipient AS r WHERE r.key = u.key) = :recipient);

-- name: matching
SELECT u.key FROM unknown AS u
WHERE u.key > :after AND u.key <= :end AND u.noted <= :noted
  AND (:sender IS NULL OR u.sender = :sender)
  AND (:cause IS NULL OR u.cause = :cause)
  AND (:recipient IS NULL OR (SELECT r."to" FROM recipient AS r WHERE r.key = u.key) = :recipient)
ORDER BY u.key;

-- name: page
-- The same with what a person wants to know of each.
SELECT c.id, c.state, u.key, r."to", m.attempt, m.tries, s.name, u.sender, u.cause, u.from_at, u.until_at,
       (SELECT min(h.at) FROM heard AS h WHERE h.sender = u.sender AND h.at >= u.until_at)
FROM unknown AS u
CROSS JOIN message AS m ON m.key = u.key
CROSS JOIN recipient AS r ON r.key = u.key
CROSS JOIN contract AS c ON c.no = u.key >> 32 AND c.deleting = 0
LEFT JOIN sender AS s ON s.no = u.sender
WHERE u.key > :after AND u.key <= :end AND u.noted <= :noted
  AND (:sender IS NULL OR u.sender = :sender)
  AND (:cause IS NULL OR u.cause = :cause)
  AND (:recipient IS NULL OR r."to" = :recipient)
ORDER BY u.key LIMIT :limit;
