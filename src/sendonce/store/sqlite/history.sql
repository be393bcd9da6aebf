-- name: moment
-- The last commit, the branch it is on, and the branches that led there or are known to be lost.
SELECT commits, branch, (SELECT fork FROM branch WHERE id = tally.branch),
       (SELECT json_group_array(id) FROM branch WHERE id <> tally.branch)
FROM tally;

-- name: begin_branch
INSERT INTO branch (id, fork) SELECT ?1, commits FROM tally;

-- name: on_branch
UPDATE tally SET branch = ?1;

-- name: lose
INSERT OR IGNORE INTO branch (id, fork) VALUES (?1, ?2);

-- name: copied
SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'copied');

-- name: no_copy
DELETE FROM meta WHERE key = 'copied';

-- name: last_seen
-- Store time of the last beat that the store knows of.
SELECT value FROM meta WHERE key = 'clock_last';

-- name: seen
-- Written with every heartbeat, so that store time goes on from here after a reboot.
UPDATE meta SET value = max(value, ?1) WHERE key = 'clock_last';

-- name: store_id
-- What journals call this store; its copies have the same.
SELECT value FROM meta WHERE key = 'store';
