-- name: mark
-- Says that this file is a copy, by a word of its own: when it was made (?1, wall) and at random.
INSERT OR REPLACE INTO meta (key, value) VALUES ('copied', ?1 || '.' || lower(hex(randomblob(8))));
