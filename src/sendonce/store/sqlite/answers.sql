-- name: taken_in_range
-- Messages of a fresh window that were settled before they could start.
SELECT key FROM message WHERE key BETWEEN ?1 AND ?2;
