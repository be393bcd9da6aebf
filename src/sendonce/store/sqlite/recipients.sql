-- name: save
INSERT OR REPLACE INTO recipient (key, "to", variables);

-- name: any_between
SELECT EXISTS (SELECT 1 FROM recipient WHERE key > ?1 AND key < ?2);

-- name: between
-- Recipients between two keys as one JSON array of [address, variables], in order: one step for a whole window.
SELECT '[' || coalesce(group_concat(
    '[' || json_quote("to") || ',' || coalesce(variables, '[]') || ']', ',' ORDER BY key), '') || ']'
FROM recipient WHERE key BETWEEN ?1 AND ?2;

-- name: of
SELECT r.key, r."to", r.variables FROM json_each(?1) AS wanted CROSS JOIN recipient AS r ON r.key = wanted.value;

-- name: keys_of
SELECT key FROM recipient WHERE key > ?1 AND key <= ?2 AND "to" = ?3;

-- name: keys
SELECT key FROM recipient WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3;

-- name: delete
DELETE FROM recipient WHERE key > ?1 AND key <= ?2;
