-- name: contract_ids
SELECT id FROM contract WHERE deleting = 0 ORDER BY id;

-- name: tally
SELECT waiting, active, delayed, unknown, completed, failed, skipped, cancelled FROM tally;

-- name: rows_by_state
SELECT state, count(*) FROM message WHERE key > ?1 AND key < ?2 GROUP BY state;

-- name: recount
SELECT (SELECT count(*) FROM recipient WHERE key > ?1 AND key < ?2),
       coalesce(sum(doubled > 0), 0),
       coalesce(sum(attempt > 0), 0) + (SELECT count(*) FROM attempt WHERE key > ?1 AND key < ?2),
       coalesce(sum(stage = 1), 0), coalesce(sum(stage = 2), 0), coalesce(sum(stage = 3), 0)
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

-- name: unknown_backwards
SELECT key FROM unknown WHERE from_at > until_at;

-- name: failed_without_error
SELECT key FROM message WHERE state = 5 AND error IS NULL;

-- name: stage_without_time
-- The furthest receipt has a time; earlier ones may never have come.
SELECT key FROM message
WHERE (stage = 1 AND sent_at IS NULL) OR (stage = 2 AND delivered_at IS NULL) OR (stage = 3 AND read_at IS NULL);

-- name: stage_of_unfinished
SELECT key FROM message WHERE state = 3 AND stage IS NOT NULL;

-- name: attempt_out_of_order
SELECT a.key FROM attempt AS a LEFT JOIN message AS m ON m.key = a.key
WHERE (m.key IS NULL OR a.attempt >= m.attempt)
  AND NOT EXISTS (SELECT 1 FROM contract AS c WHERE c.no = a.key >> 32 AND c.deleting = 1);

-- name: impossible_flow
SELECT s.name, f.bucket, f.accepted, f.receipted FROM flow AS f JOIN sender AS s ON s.no = f.sender
WHERE f.receipted > f.accepted OR f.receipted < 0;

-- name: leases_of_nobody
SELECT id, contract FROM lease WHERE contract NOT IN (SELECT no FROM contract);

-- name: attempt_of
-- Where history was lost, receipts wait for the contract to go on, or are of an attempt whose number a person used again.
SELECT m.attempt FROM contract AS c JOIN message AS m ON m.key = c.no << 32 | ?2 WHERE c.id = ?1 AND c.deleting = 0 AND c.rewound_at IS NULL;

-- name: contract_id
SELECT id FROM contract WHERE no = ?1;
