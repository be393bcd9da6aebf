-- name: plan
INSERT INTO bulk (kind, contract, filter, next_key) VALUES (?1, ?2, ?3, ?4);
