-- name: contract_ids
SELECT id FROM contract WHERE deleting = 0 ORDER BY id;

-- name: tally
SELECT waiting, active, delayed, unknown, completed, failed, skipped, cancelled FROM tally;

-- name: rows_by_state
SELECT state, count(*) FROM message WHERE key > ?1 AND key < ?2 GROUP BY state;

-- name: recount
SELECT (SELECT count(*) FROM recipient WHERE key > ?1 AND key < ?2),
       coalesce(sum(doubled > 0), 0), coalesce(sum(stage = 1), 0), coalesce(sum(stage = 2), 0), coalesce(sum(stage = 3), 0)
FROM message WHERE key > ?1 AND key < ?2;

-- name: rows_between
SELECT count(*) FROM message WHERE key BETWEEN ?1 AND ?2;

-- name: freed
SELECT lo, hi FROM freed WHERE contract = ?1 ORDER BY lo;

-- name: cursor
SELECT next_seq FROM contract WHERE no = ?1;

-- name: unknown_without_row
SELECT u.key FROM unknown AS u LEFT JOIN message AS m ON m.key = u.key WHERE m.state IS NOT 3;

-- name: row_without_unknown
SELECT m.key FROM message AS m LEFT JOIN unknown AS u ON u.key = m.key
WHERE m.state = 3 AND u.key IS NULL
  AND NOT EXISTS (SELECT 1 FROM contract AS c WHERE c.no = m.key >> 32 AND c.deleting = 1);

-- name: due_in_wrong_state
SELECT key FROM message WHERE due IS NOT NULL AND state NOT IN (0, 2);

-- name: active_without_lease
-- Only a list lease has rows of active messages.
SELECT m.key FROM message AS m WHERE m.state = 1 AND NOT EXISTS (
    SELECT 1 FROM lease AS l JOIN json_each(l.seqs) AS s
    WHERE l.contract = m.key >> 32 AND s.value = m.key & 0xFFFFFFFF);

-- name: lost_retry
SELECT m.key FROM message AS m WHERE m.state IN (0, 2) AND m.due IS NULL AND NOT EXISTS (
    SELECT 1 FROM lease AS l JOIN json_each(l.seqs) AS s
    WHERE l.contract = m.key >> 32 AND s.value = m.key & 0xFFFFFFFF);
