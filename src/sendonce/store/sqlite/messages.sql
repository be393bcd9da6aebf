-- name: rows_by_keys
-- Message rows by keys (a JSON array), all in one step, as a JSON array of arrays in column order.
SELECT json_group_array(json_array(m.key, m.state, m.attempt, m.tries, m.sender, m.stage, m.due, m.answered_at,
                                   hex(m.provider_id), m.error, m.sent_at, m.delivered_at, m.read_at, m.doubled, m.lease))
FROM json_each(?1) AS wanted CROSS JOIN message AS m ON m.key = wanted.value;

-- name: rows_by_range
SELECT json_group_array(json_array(key, state, attempt, tries, sender, stage, due, answered_at,
                                   hex(provider_id), error, sent_at, delivered_at, read_at, doubled, lease))
FROM message WHERE key BETWEEN ?1 AND ?2;

-- name: taken_in_range
-- Messages of a fresh window that were settled before they could start.
SELECT key FROM message WHERE key BETWEEN ?1 AND ?2;

-- name: save
INSERT OR REPLACE INTO message (key, state, attempt, tries, sender, stage, due, answered_at, provider_id, error,
                                sent_at, delivered_at, read_at, doubled, lease);

-- name: delete_attempt
DELETE FROM attempt WHERE key > ?1 AND key <= ?2;

-- name: delete_unknown
DELETE FROM unknown WHERE key > ?1 AND key <= ?2;

-- name: delete_message
DELETE FROM message WHERE key > ?1 AND key <= ?2;

-- name: earlier
SELECT json_group_array(json_array(key, state, attempt, tries, sender, stage, NULL, answered_at,
                                   hex(provider_id), error, sent_at, delivered_at, read_at, NULL))
FROM (SELECT * FROM attempt WHERE key = ?1 ORDER BY attempt);

-- name: save_earlier
INSERT OR REPLACE INTO attempt (key, attempt, state, tries, sender, stage, answered_at, provider_id, error,
                                sent_at, delivered_at, read_at);

-- name: drop_earlier
DELETE FROM attempt WHERE key = ?1 AND attempt = ?2;

-- name: due
-- Messages of contract ?1 due at ?2, the longest due first: key, number of the next attempt, tries.
SELECT key, attempt + 1, tries FROM message WHERE key >> 32 = ?1 AND due <= ?2 ORDER BY due, key LIMIT ?3;

-- name: take_due
UPDATE message SET due = NULL WHERE key IN (SELECT value FROM json_each(?1));

-- name: due_again
-- Retries that were leased and not started. One that was settled meanwhile stays settled.
UPDATE message SET due = ?2 WHERE key IN (SELECT value FROM json_each(?1)) AND state IN (0, 2) AND due IS NULL;

-- name: due_keys
SELECT key FROM message WHERE key >> 32 = ?1 AND due IS NOT NULL LIMIT ?2;

-- name: waiting
-- Messages with a row that wait or are to be tried again, but for stand-ins that a person's word made due since ?2.
SELECT key FROM message
WHERE key >> 32 = ?1 AND state IN (0, 2) AND state <> 4
  AND NOT (sender IS NULL AND attempt > 0 AND answered_at >= ?2)
LIMIT ?3;

-- name: silent
-- Messages that are to be tried again without having been refused.
SELECT key FROM message
WHERE key >> 32 = ?1 AND due IS NOT NULL AND state = 2 AND sender IS NOT NULL AND answered_at IS NULL
LIMIT ?2;

-- name: failed_keys
-- Failed messages of a contract that match, in order of key, from behind :after on.
SELECT m.key FROM message AS m
WHERE m.key >> 32 = :contract AND m.state = 5 AND m.state <> 4 AND +m.key > :after AND +m.key < :end
  AND (:code IS NULL OR m.error ->> '$.code' = :code)
  AND (:spared IS NULL OR m.error ->> '$.code' <> :spared)
  AND (:forced OR (SELECT c.rewound_at IS NULL OR (m.sender IS NOT NULL AND m.answered_at > c.rewound_at)
                   FROM contract AS c WHERE c.no = :contract))
  AND (:recipient IS NULL OR (SELECT r."to" FROM recipient AS r WHERE r.key = m.key) = :recipient)
ORDER BY m.key LIMIT :limit;

-- name: failed_count
SELECT count(*) FROM message AS m
WHERE m.key >> 32 = :contract AND m.state = 5 AND m.state <> 4 AND +m.key > :after AND +m.key < :end
  AND (:code IS NULL OR m.error ->> '$.code' = :code)
  AND (:spared IS NULL OR m.error ->> '$.code' <> :spared)
  AND (:forced OR (SELECT c.rewound_at IS NULL OR (m.sender IS NOT NULL AND m.answered_at > c.rewound_at)
                   FROM contract AS c WHERE c.no = :contract))
  AND (:recipient IS NULL OR (SELECT r."to" FROM recipient AS r WHERE r.key = m.key) = :recipient);

-- name: keys_in_state
-- Messages of contract ?1 in state ?2, which is not completed (the index leaves those out), with error code ?5 if given.
SELECT key FROM message
WHERE key >> 32 = ?1 AND state = ?2 AND state <> 4 AND key > ?3 AND key <= ?4
  AND (?5 IS NULL OR error ->> '$.code' = ?5)
ORDER BY key LIMIT ?6;

-- name: keys_with_error
-- Messages of contract ?1 with error code ?4.
SELECT key FROM message
WHERE key >> 32 = ?1 AND state <> 4 AND key > ?2 AND key <= ?3 AND error ->> '$.code' = ?4
ORDER BY key LIMIT ?5;

-- name: keys_completed
SELECT key FROM message WHERE key > ?1 AND key <= ?2 AND state = 4 ORDER BY key LIMIT ?3;

-- name: keys_not_done
-- Messages without a row, or with one that is waiting, active or cancelled.
SELECT r.key FROM recipient AS r LEFT JOIN message AS m ON m.key = r.key
WHERE r.key > ?1 AND r.key <= ?2 AND (m.key IS NULL OR m.state IN (0, 1, 7)) ORDER BY r.key LIMIT ?3;
