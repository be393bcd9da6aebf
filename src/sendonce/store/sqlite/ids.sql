-- name: append_run
INSERT INTO id_run (entries, size) VALUES (?1, ?2);

-- name: count_runs
SELECT count(*), coalesce(sum(size), 0) FROM id_run;

-- name: runs_newest_first
SELECT entries FROM id_run ORDER BY run DESC;

-- name: blocks_with
-- Of each segment the one block that can hold hash ?1, the newest segment first.
SELECT (SELECT b.entries FROM id_block AS b WHERE b.segment = s.segment AND b.first <= ?1
        ORDER BY b.first DESC LIMIT 1)
FROM id_segment AS s ORDER BY s.segment DESC;

-- name: attempt_with_id
-- The attempt of message ?1 that got the id ?3, of those whose numbers end with the 16 bits ?2, in a contract that is not
-- deleted.
SELECT attempt FROM (SELECT key, attempt, provider_id FROM message WHERE key = ?1
                     UNION ALL SELECT key, attempt, provider_id FROM attempt WHERE key = ?1)
WHERE attempt & 0xFFFF = ?2 AND provider_id = ?3
  AND EXISTS (SELECT 1 FROM contract AS c WHERE c.no = ?1 >> 32 AND c.deleting = 0);

-- name: oldest_runs
SELECT run, entries FROM id_run ORDER BY run LIMIT ?1;

-- name: new_segment
INSERT INTO id_segment (made_at) VALUES (?1) RETURNING segment;

-- name: save_blocks
INSERT INTO id_block (segment, first, entries);

-- name: drop_runs
DELETE FROM id_run WHERE run <= ?1;

-- name: drop_old_blocks
-- Blocks of the oldest segment, if it was made before ?1.
DELETE FROM id_block WHERE segment = (SELECT segment FROM id_segment WHERE made_at < ?1 ORDER BY segment LIMIT 1);

-- name: drop_old_segment
DELETE FROM id_segment WHERE segment = (SELECT segment FROM id_segment WHERE made_at < ?1 ORDER BY segment LIMIT 1);

-- name: begin_known
CREATE TEMP TABLE known (key INTEGER, attempt INTEGER, hash INTEGER, PRIMARY KEY (key, attempt, hash)) WITHOUT ROWID;

-- name: known
INSERT OR IGNORE INTO temp.known VALUES (?1, ?2, ?3);

-- name: end_known
DROP TABLE temp.known;

-- name: all_runs
SELECT entries FROM id_run;

-- name: all_blocks
SELECT entries FROM id_block;

-- name: ids_of_attempts
-- Attempts with an id that came after ?1.
SELECT key, attempt, provider_id FROM message WHERE provider_id IS NOT NULL AND answered_at > ?1
UNION ALL SELECT key, attempt, provider_id FROM attempt WHERE provider_id IS NOT NULL AND answered_at > ?1;

-- name: is_known
SELECT EXISTS (SELECT 1 FROM temp.known WHERE key = ?1 AND attempt = ?2 AND hash = ?3);
