-- The ledger. A message is keyed by `contract.no << 32 | seq`; a recipient that was never started has no message row.
-- Times are store time in milliseconds unless the name ends in `_wall` or the comment says provider time.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL UNIQUE,
    channel    TEXT NOT NULL,
    settings   TEXT NOT NULL,                 -- JSON object
    causes     TEXT NOT NULL DEFAULT '[]',    -- JSON array of words; paused while not empty
    created_at INTEGER NOT NULL               -- wall
) STRICT;

CREATE TABLE sender (
    no         INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL UNIQUE,
    channel    TEXT NOT NULL,
    account    INTEGER NOT NULL REFERENCES account (no),
    rate       REAL,                          -- messages per second; NULL is unlimited
    settings   TEXT NOT NULL,
    causes     TEXT NOT NULL DEFAULT '[]',
    next_slot  REAL NOT NULL DEFAULT 0,       -- GCRA: the theoretical arrival time of the next message
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE contract (
    no          INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    spec        TEXT NOT NULL,                -- JSON, never changes
    columns     TEXT NOT NULL DEFAULT '[]',
    state       INTEGER NOT NULL,
    causes      TEXT NOT NULL DEFAULT '[]',
    priority    INTEGER NOT NULL,
    served      INTEGER NOT NULL DEFAULT 0,   -- messages leased, evened out when it starts or resumes: the fair share
    retry_turn  INTEGER NOT NULL DEFAULT 0,   -- 1: the next lease prefers due retries
    sealed      INTEGER NOT NULL DEFAULT 0,
    generation  INTEGER NOT NULL DEFAULT 0,   -- of the import; an older one is stale
    imported    INTEGER NOT NULL DEFAULT 0,   -- rows of this generation so far
    total       INTEGER NOT NULL DEFAULT 0,
    next_seq    INTEGER NOT NULL DEFAULT 1,   -- the cursor: never leased from here on
    waiting     INTEGER NOT NULL DEFAULT 0,
    active      INTEGER NOT NULL DEFAULT 0,
    delayed     INTEGER NOT NULL DEFAULT 0,
    unknown     INTEGER NOT NULL DEFAULT 0,
    completed   INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    skipped     INTEGER NOT NULL DEFAULT 0,
    cancelled   INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    sent        INTEGER NOT NULL DEFAULT 0,   -- completed ones by furthest receipt
    delivered   INTEGER NOT NULL DEFAULT 0,
    read        INTEGER NOT NULL DEFAULT 0,
    duplicates  INTEGER NOT NULL DEFAULT 0,   -- rows dropped on import
    refused     INTEGER NOT NULL DEFAULT 0,   -- rows refused on import
    doubled     INTEGER NOT NULL DEFAULT 0,   -- messages with two attempts, or two ids of one, that did not fail
    deleting    INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,             -- wall
    started_at  INTEGER,                      -- wall
    finished_at INTEGER                       -- wall
) STRICT;
CREATE INDEX contract_by_state ON contract (deleting, state, id);

CREATE TABLE contract_sender (
    contract INTEGER NOT NULL,
    sender   INTEGER NOT NULL,
    PRIMARY KEY (contract, sender)
) STRICT, WITHOUT ROWID;

CREATE TABLE recipient (
    key       INTEGER PRIMARY KEY,
    "to"      ANY NOT NULL,                   -- an E.164 phone as an integer, any other address as text
    variables TEXT                            -- JSON array in the order of contract.columns; NULL when empty
) STRICT;

CREATE TABLE refusal (
    contract INTEGER NOT NULL,
    row      INTEGER NOT NULL,
    value    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    PRIMARY KEY (contract, row)
) STRICT, WITHOUT ROWID;

-- The latest attempt of each message that was started (or was leased, not sent and came back: attempt 0).
CREATE TABLE message (
    key          INTEGER PRIMARY KEY,
    state        INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    tries        INTEGER NOT NULL,
    sender       INTEGER,
    stage        INTEGER,                     -- furthest receipt; -1 after a failed one; NULL while no answer
    due          INTEGER,                     -- set while it waits in the due index
    answered_at  INTEGER,
    provider_id  BLOB,
    error        TEXT,                        -- JSON of DeliveryError
    sent_at      INTEGER,                     -- provider time, wall
    delivered_at INTEGER,
    read_at      INTEGER,
    doubled      INTEGER,                     -- 1: counted as a duplicate for its attempts, 2: for its ids
    lease        INTEGER                      -- of an active or unknown one: the lease that started it
) STRICT;
CREATE INDEX message_due ON message (key >> 32, due) WHERE due IS NOT NULL;
CREATE INDEX message_by_state ON message (key >> 32, state) WHERE state <> 4;

-- Earlier attempts: moved here when the next one starts.
CREATE TABLE attempt (
    key          INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    state        INTEGER NOT NULL,
    tries        INTEGER NOT NULL,
    sender       INTEGER,
    stage        INTEGER,
    answered_at  INTEGER,
    provider_id  BLOB,
    error        TEXT,
    sent_at      INTEGER,
    delivered_at INTEGER,
    read_at      INTEGER,
    PRIMARY KEY (key, attempt)
) STRICT, WITHOUT ROWID;

-- Finds an attempt by the hash of its provider id, for receipts that come without our token: see ids.py.
CREATE TABLE id_run (
    run     INTEGER PRIMARY KEY AUTOINCREMENT,
    entries BLOB NOT NULL,                    -- as one commit brought them
    size    INTEGER NOT NULL
) STRICT;
CREATE TABLE id_segment (
    segment INTEGER PRIMARY KEY AUTOINCREMENT,
    made_at INTEGER NOT NULL
) STRICT;
CREATE TABLE id_block (
    segment INTEGER NOT NULL,
    first   INTEGER NOT NULL,                 -- the lowest hash in it
    entries BLOB NOT NULL,                    -- sorted
    PRIMARY KEY (segment, first)
) STRICT, WITHOUT ROWID;

-- What is known of each unknown message: it can have been handed over between from_at and until_at.
CREATE TABLE unknown (
    key      INTEGER PRIMARY KEY,
    sender   INTEGER,
    cause    TEXT NOT NULL,
    from_at  INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    look_at  INTEGER NOT NULL DEFAULT 0       -- not before: it could not be settled when it was looked at
) STRICT;
CREATE INDEX unknown_by_turn ON unknown (look_at);

-- Accepted attempts of a sender in ten-second buckets, and how many of them have a receipt: proves absences.
CREATE TABLE flow (
    sender    INTEGER NOT NULL,
    bucket    INTEGER NOT NULL,
    accepted  INTEGER NOT NULL DEFAULT 0,
    receipted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (sender, bucket)
) STRICT, WITHOUT ROWID;

-- Ranges of seqs that were leased and came back without having been started. Neighbours are merged.
CREATE TABLE freed (
    contract INTEGER NOT NULL,
    lo       INTEGER NOT NULL,
    hi       INTEGER NOT NULL,
    PRIMARY KEY (contract, lo)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,  -- only grows: the fence
    instance   TEXT NOT NULL,
    contract   INTEGER NOT NULL,
    sender     INTEGER NOT NULL,
    lo         INTEGER,                       -- first seq of a range; NULL for a list of retries
    seqs       TEXT,                          -- JSON array of the retries' seqs; NULL for a range
    size       INTEGER NOT NULL,
    started    INTEGER NOT NULL DEFAULT 0,    -- the watermark: positions below it may have been started
    allowed    INTEGER NOT NULL,              -- positions from here on were taken back
    granted_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX lease_by_contract ON lease (contract);

CREATE TABLE instance (
    id         TEXT PRIMARY KEY,
    host       TEXT NOT NULL,
    pid        INTEGER NOT NULL,
    version    TEXT NOT NULL,
    webhooks   INTEGER NOT NULL,
    started_at INTEGER NOT NULL,              -- wall
    seen_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Webhook posts as they came, until applied; those that can't be read stay, with the reason.
CREATE TABLE post (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    instance    TEXT NOT NULL,
    channel     TEXT NOT NULL,
    body        BLOB NOT NULL,
    received_at INTEGER NOT NULL,             -- wall
    reason      TEXT
) STRICT;
CREATE INDEX post_waiting ON post (instance, id) WHERE reason IS NULL;
CREATE INDEX post_quarantined ON post (id) WHERE reason IS NOT NULL;

-- Receipts that no attempt explains, yet or ever.
CREATE TABLE stray (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    hash        INTEGER,                      -- of the provider id, when the receipt came without a token
    receipt     TEXT NOT NULL,                -- JSON
    received_at INTEGER NOT NULL
) STRICT;
CREATE INDEX stray_by_hash ON stray (hash) WHERE hash IS NOT NULL;
CREATE INDEX stray_by_age ON stray (received_at);

CREATE TABLE once (
    key         TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    made        TEXT NOT NULL,                -- id of what the request made
    at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Operations over many messages, done in pieces so that no transaction is long and a crash loses none.
CREATE TABLE bulk (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    kind     TEXT NOT NULL,                   -- retry, cancel, delete, trim
    contract INTEGER NOT NULL,
    filter   TEXT,                            -- JSON, for retry
    next_key INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Messages by state over all contracts; one row.
CREATE TABLE tally (
    waiting   INTEGER NOT NULL DEFAULT 0,
    active    INTEGER NOT NULL DEFAULT 0,
    delayed   INTEGER NOT NULL DEFAULT 0,
    unknown   INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    failed    INTEGER NOT NULL DEFAULT 0,
    skipped   INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO tally DEFAULT VALUES;
