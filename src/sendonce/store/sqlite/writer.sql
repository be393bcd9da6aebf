-- name: next_commit
-- The number of this commit on its branch of history, and after which commit the branch began.
UPDATE tally SET commits = commits + 1
RETURNING commits, branch, (SELECT fork FROM branch WHERE id = tally.branch);
