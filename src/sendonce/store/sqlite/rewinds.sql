-- name: copied
SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'copied');

-- name: no_copy
DELETE FROM meta WHERE key = 'copied';

-- name: moment
-- The last commit, the branch it is on, and the branches that led there or are known to be lost.
SELECT commits, branch, (SELECT fork FROM branch WHERE id = tally.branch),
       (SELECT json_group_array(id) FROM branch WHERE id <> tally.branch)
FROM tally;

-- name: begin_branch
INSERT INTO branch (id, fork) SELECT ?1, commits FROM tally;

-- name: lost_branch
INSERT OR IGNORE INTO branch (id, fork) VALUES (?1, ?2);

-- name: on_branch
UPDATE tally SET branch = ?1;

-- name: note
INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2);

-- name: noticed
SELECT (SELECT value FROM meta WHERE key = 'rewind');

-- name: marks_pending
SELECT EXISTS (SELECT 1 FROM bulk WHERE kind = 'mark' AND contract = ?1);

-- name: thaw_pending
SELECT EXISTS (SELECT 1 FROM bulk WHERE kind = 'thaw' AND contract = ?1);

-- name: void_plans
-- What was ordered and not done yet: it may have been done in lost history, and whoever ordered it has to say it again.
DELETE FROM bulk WHERE kind IN ('retry', 'resolve', 'doubt', 'thaw');

-- name: forget_plans
DELETE FROM bulk WHERE contract = ?1 AND kind IN ('retry', 'doubt', 'thaw');

-- name: rewound
UPDATE contract SET rewound_at = ?2 WHERE no = ?1;

-- name: living
SELECT id, no, state FROM contract WHERE deleting = 0;

-- name: state
SELECT state FROM contract WHERE no = ?1 AND deleting = 0;

-- name: suspected
SELECT state, causes, rewound_at FROM contract WHERE no = ?1 AND deleting = 0;

-- name: made
-- Wall time at which the contract was made.
SELECT created_at FROM contract WHERE no = ?1;

-- name: frozen
-- Contracts that stand still because history was lost, newest first.
SELECT id FROM contract WHERE deleting = 0 AND causes LIKE '%"rewound%' ORDER BY id DESC;

-- name: last_seen
-- Store time of the last beat that the store knows of.
SELECT value FROM meta WHERE key = 'clock_last';

-- name: store_id
-- What journals call this store; its copies have the same.
SELECT value FROM meta WHERE key = 'store';

-- name: last_stray
SELECT coalesce(max(id), 0) FROM stray;
