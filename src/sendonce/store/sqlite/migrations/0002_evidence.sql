-- Unknown messages that a person settles, and stores that notice when they have lost history.

ALTER TABLE unknown ADD COLUMN noted INTEGER NOT NULL DEFAULT 0;     -- counts up: a person's word is about those listed
ALTER TABLE tally ADD COLUMN noted INTEGER NOT NULL DEFAULT 0;       -- the last `unknown.noted`
ALTER TABLE tally ADD COLUMN commits INTEGER NOT NULL DEFAULT 0;     -- only grows: what journals are compared with
ALTER TABLE tally ADD COLUMN branch TEXT NOT NULL DEFAULT '';        -- of history: a new one begins where some was lost
ALTER TABLE contract ADD COLUMN rewound_at INTEGER;                  -- nobody knows what was started before this
ALTER TABLE unknown ADD COLUMN heard_at INTEGER;                     -- first receipt of its sender after until_at
CREATE INDEX unknown_unheard ON unknown (sender) WHERE heard_at IS NULL;
ALTER TABLE post ADD COLUMN came_at INTEGER NOT NULL DEFAULT 0;      -- store time

-- The branches of history that led here, the present one included: a journal of any other is lost history.
CREATE TABLE branch (
    id   TEXT PRIMARY KEY,
    fork INTEGER NOT NULL                     -- the last commit before it
) STRICT, WITHOUT ROWID;
INSERT INTO branch (id, fork) VALUES (lower(hex(randomblob(4))), 0);
UPDATE tally SET branch = (SELECT id FROM branch);

CREATE INDEX stray_by_contract ON stray (receipt ->> '$.token.contract') WHERE hash IS NULL;
INSERT INTO meta (key, value) VALUES ('store', lower(hex(randomblob(8))));
-- Store time of the latest thing that nothing explains and nothing will.
INSERT INTO meta (key, value) SELECT 'unexplained_at', coalesce(max(received_at), 0) FROM post WHERE reason IS NOT NULL;
