-- Who was attached when, the last few of each device (slot is a place in a ring), and how often it reports.

CREATE TABLE attachments (
    device_id TEXT NOT NULL,
    slot      INTEGER NOT NULL,
    began_ms  INTEGER NOT NULL,
    ended_ms  INTEGER,
    peer      TEXT NOT NULL,
    dialect   TEXT NOT NULL,
    encrypted TEXT NOT NULL,
    why       TEXT,
    PRIMARY KEY (device_id, slot)
) WITHOUT ROWID;

CREATE TABLE habits (
    device_id      TEXT PRIMARY KEY,
    learnt_every_s REAL,
    attachments    INTEGER NOT NULL
) WITHOUT ROWID;
