-- name: webhooks_seen
-- `value` is when they came up, `seen` when they were last up; a gap since before ?2 starts anew.
INSERT INTO meta (key, value) VALUES ('webhooks_up_since', ?1 || ' ' || ?1)
ON CONFLICT DO UPDATE SET value =
    iif(CAST(substr(value, instr(value, ' ') + 1) AS INTEGER) < ?2, ?1, substr(value, 1, instr(value, ' ') - 1))
    || ' ' || ?1;

-- name: webhooks_up
SELECT CAST(value AS INTEGER) FROM meta
WHERE key = 'webhooks_up_since' AND CAST(substr(value, instr(value, ' ') + 1) AS INTEGER) >= ?1;
