-- What was heard of a sender is kept once for all of its unknown messages, however many there are.

-- Moments (store time) at which receipts of a sender came: the first of each after messages became unknown.
CREATE TABLE heard (
    sender INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (sender, at)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO heard (sender, at)
SELECT sender, heard_at FROM unknown WHERE sender IS NOT NULL AND heard_at IS NOT NULL;
DROP INDEX unknown_unheard;
ALTER TABLE unknown DROP COLUMN heard_at;
CREATE INDEX unknown_by_sender ON unknown (sender, until_at);
