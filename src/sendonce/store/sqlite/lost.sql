-- name: extent
SELECT state, sealed, total FROM contract WHERE no = ?1;

-- name: rest
SELECT state, next_seq, total FROM contract WHERE no = ?1;

-- name: age
-- Seconds since the contract was made, at wall time ?2.
SELECT max(0, (?2 - created_at) / 1000) FROM contract WHERE no = ?1;

-- name: freed_between
-- Freed ranges that overlap ?2 to ?3.
SELECT lo, hi FROM freed WHERE contract = ?1 AND hi >= ?2 AND lo <= ?3 ORDER BY lo;

-- name: unknown_keys
-- Unknown messages between two keys.
SELECT key FROM unknown WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3;

-- name: first_waiting
-- The first range of messages that were never started: freed ones, then the rest of the list.
SELECT lo, hi FROM (SELECT lo, hi, 0 AS turn FROM freed WHERE contract = ?1
                    UNION ALL SELECT next_seq, total, 1 FROM contract WHERE no = ?1 AND next_seq <= total)
ORDER BY turn, lo LIMIT 1;

-- name: waiting_rows
-- Messages with a row that wait or are to be tried again, but for stand-ins that a person's word made due since history
-- was lost.
SELECT key FROM message
WHERE key >> 32 = ?1 AND state IN (0, 2) AND state <> 4
  AND NOT (sender IS NULL AND attempt > 0
           AND answered_at >= (SELECT rewound_at FROM contract WHERE no = ?1))
LIMIT ?2;
