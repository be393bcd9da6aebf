-- name: pause
SELECT state, causes, started_at FROM contract WHERE no = ?1;
