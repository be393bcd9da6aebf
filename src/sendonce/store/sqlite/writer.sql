-- name: next_commit
-- The number of this commit; of a store that never loses history it only grows.
UPDATE tally SET commits = commits + 1 RETURNING commits;
