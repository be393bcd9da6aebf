-- name: webhooks_seen
INSERT OR REPLACE INTO meta (key, value) VALUES ('webhooks', ?1);

-- name: uptime
SELECT (SELECT value FROM meta WHERE key = 'webhooks');
