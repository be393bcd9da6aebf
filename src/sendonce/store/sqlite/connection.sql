-- name: mark
-- Of a copy that was not noticed yet: when it was made, and at random.
SELECT (SELECT value FROM meta WHERE key = 'copied');

-- name: begin_log
-- The log beside this copy began on it, when the file was of the time ?1.
INSERT OR REPLACE INTO meta (key, value) SELECT 'log_of', value || ' ' || ?1 FROM meta WHERE key = 'copied';

-- name: log_of
SELECT (SELECT value FROM meta WHERE key = 'log_of');
