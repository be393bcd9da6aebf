-- name: add
INSERT INTO bulk (kind, contract, filter, next_key) VALUES (?1, ?2, ?3, ?4);

-- name: next
SELECT id, kind, contract, filter, next_key FROM bulk ORDER BY id LIMIT 1;

-- name: reached
UPDATE bulk SET next_key = ?2 WHERE id = ?1;

-- name: done
DELETE FROM bulk WHERE id = ?1;

-- name: pending
SELECT EXISTS (SELECT 1 FROM bulk WHERE kind = ?1 AND contract = ?2);

-- name: drop_of
-- Whatever was still to be done in pieces is overtaken by the deletion.
DELETE FROM bulk WHERE contract = ?1;

-- name: forget
DELETE FROM bulk WHERE contract = ?1 AND kind IN ('retry', 'doubt', 'thaw');

-- name: void
-- What was ordered and not done yet: it may have been done in lost history, and whoever ordered it has to say it again.
DELETE FROM bulk WHERE kind IN ('retry', 'resolve', 'doubt', 'thaw');
