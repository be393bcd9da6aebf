-- name: first
SELECT lo, hi FROM freed WHERE contract = ?1 ORDER BY lo LIMIT 1;

-- name: ending_at
SELECT lo FROM freed WHERE contract = ?1 AND lo <= ?2 AND hi = ?2 ORDER BY lo DESC LIMIT 1;

-- name: starting_at
SELECT hi FROM freed WHERE contract = ?1 AND lo = ?2;

-- name: between
-- Freed ranges that overlap ?2 to ?3.
SELECT lo, hi FROM freed WHERE contract = ?1 AND hi >= ?2 AND lo <= ?3 ORDER BY lo;

-- name: put
INSERT OR REPLACE INTO freed (contract, lo, hi) VALUES (?1, ?2, ?3);

-- name: drop
DELETE FROM freed WHERE contract = ?1 AND lo = ?2;

-- name: drop_all
DELETE FROM freed WHERE contract = ?1;

-- name: count
SELECT coalesce(sum(hi - lo + 1), 0) FROM freed WHERE contract = ?1;
