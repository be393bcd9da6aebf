-- name: rows_by_keys
-- Message rows by keys (a JSON array), all in one step, as a JSON array of arrays in column order.
SELECT json_group_array(json_array(m.key, m.state, m.attempt, m.tries, m.sender, m.stage, m.due, m.answered_at,
                                   hex(m.provider_id), m.error, m.sent_at, m.delivered_at, m.read_at, m.doubled, m.lease))
FROM json_each(?1) AS wanted CROSS JOIN message AS m ON m.key = wanted.value;

-- name: rows_by_range
SELECT json_group_array(json_array(key, state, attempt, tries, sender, stage, due, answered_at,
                                   hex(provider_id), error, sent_at, delivered_at, read_at, doubled, lease))
FROM message WHERE key BETWEEN ?1 AND ?2;

-- name: save_rows
INSERT OR REPLACE INTO message (key, state, attempt, tries, sender, stage, due, answered_at, provider_id, error,
                                sent_at, delivered_at, read_at, doubled, lease);

-- name: earlier_attempts
SELECT json_group_array(json_array(key, state, attempt, tries, sender, stage, NULL, answered_at,
                                   hex(provider_id), error, sent_at, delivered_at, read_at, NULL))
FROM (SELECT * FROM attempt WHERE key = ?1 ORDER BY attempt);

-- name: save_earlier
INSERT OR REPLACE INTO attempt (key, attempt, state, tries, sender, stage, answered_at, provider_id, error,
                                sent_at, delivered_at, read_at);

-- name: drop_earlier
DELETE FROM attempt WHERE key = ?1 AND attempt = ?2;
