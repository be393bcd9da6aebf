-- name: copied
SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'copied');

-- name: no_copy
DELETE FROM meta WHERE key = 'copied';

-- name: commits
SELECT commits FROM tally;

-- name: count_from
UPDATE tally SET commits = ?1;

-- name: note
INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2);

-- name: noticed
SELECT (SELECT value FROM meta WHERE key = 'rewind');

-- name: marks_pending
SELECT EXISTS (SELECT 1 FROM bulk WHERE kind = 'mark' AND contract = ?1);

-- name: living
SELECT id, no, state FROM contract WHERE deleting = 0;

-- name: state
SELECT state, failed FROM contract WHERE no = ?1;

-- name: frozen
-- Contracts that stand still because history was lost, or that were over then, newest first.
SELECT id FROM contract WHERE deleting = 0 AND causes LIKE '%"rewound%' ORDER BY id DESC;

-- name: last_seen
-- Store time of the last beat that the store knows of.
SELECT value FROM meta WHERE key = 'clock_last';

-- name: store_id
-- What journals call this store; its copies have the same.
SELECT value FROM meta WHERE key = 'store';
