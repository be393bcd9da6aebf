-- name: count_unknown
SELECT count(*) FROM unknown AS u
WHERE u.key > :after AND u.key <= :end AND u.noted <= :noted
  AND (:sender IS NULL OR u.sender = :sender)
  AND (:cause IS NULL OR u.cause = :cause)
  AND (:recipient IS NULL OR (SELECT r."to" FROM recipient AS r WHERE r.key = u.key) = :recipient);

-- name: last_of_next
-- Where the next ?3 unknown messages behind key ?1, until ?2, end, and how many there are: so many are looked at in one
-- go.
SELECT max(key), count(*) FROM (SELECT key FROM unknown WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT ?3);

-- name: keys_of_unknown
SELECT u.key FROM unknown AS u
WHERE u.key > :after AND u.key <= :end AND u.noted <= :noted
  AND (:sender IS NULL OR u.sender = :sender)
  AND (:cause IS NULL OR u.cause = :cause)
  AND (:recipient IS NULL OR (SELECT r."to" FROM recipient AS r WHERE r.key = u.key) = :recipient)
ORDER BY u.key LIMIT :limit;

-- name: list_unknown
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

-- name: last_noted
SELECT noted FROM tally;

-- name: contract_state
SELECT state, rewound_at FROM contract WHERE no = ?1;

-- name: since
-- From when on an unknown message can have been handed over.
SELECT from_at FROM unknown WHERE key = ?1;

-- name: drop_unknown
DELETE FROM unknown WHERE key IN (SELECT value FROM json_each(?1));
