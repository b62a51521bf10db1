-- Times are integer milliseconds since 1970-01-01 UTC. Columns named after a model's dict, list or any-typed field hold
-- JSON text. A migration that was released is never changed: its checksum is kept in every database.

CREATE TABLE devices (
    id               TEXT PRIMARY KEY,
    name             TEXT NOT NULL,
    created_ms       INTEGER NOT NULL,
    labels           TEXT NOT NULL,
    expected_every_s REAL,
    token_hash       TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE series (
    id        INTEGER PRIMARY KEY,
    device_id TEXT NOT NULL,
    key       TEXT NOT NULL
);
CREATE INDEX series_of_device ON series (device_id);

CREATE TABLE attributes (
    device_id  TEXT NOT NULL,
    scope      TEXT NOT NULL,
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (device_id, scope, key)
) WITHOUT ROWID;

-- AUTOINCREMENT: sqlite_sequence remembers the greatest id after its command is gone.
CREATE TABLE commands (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id  TEXT NOT NULL,
    method     TEXT NOT NULL,
    params     TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    state      TEXT NOT NULL,
    steps      TEXT NOT NULL,
    result     TEXT NOT NULL
);
CREATE INDEX commands_of_device ON commands (device_id, id);
CREATE INDEX open_commands ON commands (id) WHERE state NOT IN ('cancelled', 'done', 'expired', 'failed');

CREATE TABLE users (
    name          TEXT PRIMARY KEY,
    role          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_ms    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE sign_ins (
    id_hash    TEXT PRIMARY KEY,
    user       TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE api_tokens (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    prefix     TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- One row a commit: msgpack of [[series, ts, value], …]. Emptied by folding.
CREATE TABLE journal (
    seq   INTEGER PRIMARY KEY,
    batch BLOB NOT NULL
);

-- value: INTEGER, REAL or TEXT as it came; NULL is JSON's null; a BLOB is the JSON of a boolean, object or array.
-- It has no type, so that SQLite leaves 21.0 a REAL and 21 an INTEGER.
CREATE TABLE readings (
    series INTEGER NOT NULL,
    ts     INTEGER NOT NULL,
    value,
    PRIMARY KEY (series, ts)
) WITHOUT ROWID;

-- Ranges of readings that are deleted for every reader, and whose rows are being deleted slice by slice.
CREATE TABLE purges (
    id       INTEGER PRIMARY KEY,
    series   INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms   INTEGER NOT NULL
);
CREATE INDEX purges_of_series ON purges (series);

-- One row: about how many rows `readings` has. Counting them would read the whole table.
CREATE TABLE totals (
    readings INTEGER NOT NULL
);
INSERT INTO totals VALUES (0);
