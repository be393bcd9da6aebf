-- name: read_clock
-- The boot that the offset belongs to, the offset, and the latest store time that was written down.
SELECT max(iif(key = 'boot', value, NULL)), max(iif(key = 'clock_offset', value, NULL)),
       max(iif(key = 'clock_last', value, NULL))
FROM meta WHERE key IN ('boot', 'clock_offset', 'clock_last') HAVING count(*) = 3;

-- name: write_clock
INSERT OR REPLACE INTO meta (key, value) VALUES ('boot', ?1), ('clock_offset', ?2), ('clock_last', ?3);
