-- name: get
SELECT value FROM meta WHERE key = ?1;

-- name: put
INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2);
