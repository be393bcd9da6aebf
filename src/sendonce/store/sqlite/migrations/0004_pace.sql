-- What a sender uses of its rate since its provider said that it is too fast.

ALTER TABLE sender ADD COLUMN share REAL NOT NULL DEFAULT 1;
ALTER TABLE sender ADD COLUMN share_at INTEGER NOT NULL DEFAULT 0;       -- store time
