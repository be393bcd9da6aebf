-- name: find
SELECT fingerprint, made FROM once WHERE key = ?1;

-- name: keep
INSERT INTO once (key, fingerprint, made, at) VALUES (?1, ?2, ?3, ?4);
