-- Unknown messages that a person settles, and stores that notice when they have lost history.

ALTER TABLE unknown ADD COLUMN noted_at INTEGER NOT NULL DEFAULT 0;  -- a person's word is about what was listed then
ALTER TABLE tally ADD COLUMN commits INTEGER NOT NULL DEFAULT 0;     -- only grows: what journals are compared with
INSERT INTO meta (key, value) VALUES ('store', lower(hex(randomblob(8))));
