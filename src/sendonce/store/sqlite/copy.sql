-- name: mark
-- Says that this file is a copy, made at ?1 (wall).
INSERT OR REPLACE INTO meta (key, value) VALUES ('copied', ?1);
