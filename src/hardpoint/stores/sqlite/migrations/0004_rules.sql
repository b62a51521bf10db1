-- Rules, what they raised, and who is told.

CREATE TABLE rules (
    id             TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    scope          TEXT NOT NULL,
    "when"         TEXT NOT NULL,
    created_ms     INTEGER NOT NULL,
    for_s          REAL NOT NULL,
    severity       TEXT NOT NULL,
    channels       TEXT NOT NULL,
    command        TEXT NOT NULL,
    repeat_s       REAL,
    enabled        INTEGER NOT NULL,
    muted_until_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE rule_states (
    rule_id   TEXT NOT NULL,
    device_id TEXT NOT NULL,
    state     TEXT NOT NULL,
    since_ms  INTEGER NOT NULL,
    PRIMARY KEY (rule_id, device_id)
) WITHOUT ROWID;

-- AUTOINCREMENT: as for commands, a number is never used again.
CREATE TABLE alerts (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    rule_id         TEXT NOT NULL,
    rule_name       TEXT NOT NULL,
    device_id       TEXT NOT NULL,
    severity        TEXT NOT NULL,
    text            TEXT NOT NULL,
    value           TEXT NOT NULL,
    since_ms        INTEGER NOT NULL,
    fired_ms        INTEGER NOT NULL,
    resolved_ms     INTEGER,
    reason          TEXT,
    acknowledged_ms INTEGER,
    acknowledged_by TEXT,
    muted_until_ms  INTEGER NOT NULL
);
CREATE INDEX alerts_of_device ON alerts (device_id);

CREATE TABLE channels (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    settings   TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE deliveries (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_id TEXT NOT NULL,
    alert_id   INTEGER NOT NULL,
    event      TEXT NOT NULL,
    state      TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    due_ms     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    steps      TEXT NOT NULL
);

CREATE TABLE quiet_hours (
    id        TEXT PRIMARY KEY,
    begins    TEXT NOT NULL,
    ends      TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    days      TEXT NOT NULL,
    channels  TEXT NOT NULL,
    but_for   TEXT
) WITHOUT ROWID;
