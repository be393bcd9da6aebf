-- name: contract_states
SELECT state, count(*) FROM contract WHERE deleting = 0 GROUP BY state;

-- name: tally
SELECT waiting, active, delayed, unknown, completed, failed, skipped, cancelled FROM tally;

-- name: quarantined
SELECT count(*) FROM post WHERE reason IS NOT NULL;

-- name: refusals
SELECT row, value, reason FROM refusal WHERE contract = ?1 AND row > ?2 ORDER BY row LIMIT ?3;

-- name: sender_names
SELECT no, name FROM sender;

-- name: recipients
SELECT r.key, r."to", r.variables FROM json_each(?1) AS wanted CROSS JOIN recipient AS r ON r.key = wanted.value;

-- name: recipients_in_one
-- Recipients between two keys as one JSON array of [address, variables], in order: one step for a whole window.
SELECT '[' || coalesce(group_concat(
    '[' || json_quote("to") || ',' || coalesce(variables, '[]') || ']', ',' ORDER BY key), '') || ']'
FROM recipient WHERE key BETWEEN ?1 AND ?2;

-- name: recipients_listed
-- The same for a JSON array of keys, in its order.
SELECT '[' || coalesce(group_concat(
    '[' || json_quote(r."to") || ',' || coalesce(r.variables, '[]') || ']', ',' ORDER BY wanted.id), '') || ']'
FROM json_each(?1) AS wanted CROSS JOIN recipient AS r ON r.key = wanted.value;

-- name: keys_of_recipient
SELECT key FROM recipient WHERE key > ?1 AND key <= ?2 AND "to" = ?3;

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

-- name: doubts
-- What is known of unknown messages, by their keys (a JSON array).
SELECT u.key, u.cause, u.from_at, u.until_at FROM json_each(?1) AS wanted CROSS JOIN unknown AS u
WHERE u.key = wanted.value;
