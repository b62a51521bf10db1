-- What the broker keeps. `will` and `properties` are MessagePack, `incoming` and `identifiers` JSON lists of integers.

CREATE TABLE mqtt_sessions (
    key      TEXT PRIMARY KEY,
    expiry_s INTEGER NOT NULL,
    ended_ms INTEGER,
    incoming TEXT NOT NULL,
    will     BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE mqtt_subscriptions (
    key        TEXT NOT NULL,
    filter     TEXT NOT NULL,
    options    INTEGER NOT NULL,
    identifier INTEGER NOT NULL,
    PRIMARY KEY (key, filter)
) WITHOUT ROWID;

-- Payloads may be large, so these two have rowids: SQLite keeps such rows out of the index then.
CREATE TABLE mqtt_messages (
    key         TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    topic       TEXT NOT NULL,
    payload     BLOB NOT NULL,
    properties  BLOB NOT NULL,
    qos         INTEGER NOT NULL,
    retain      INTEGER NOT NULL,
    expires_ms  INTEGER,
    identifiers TEXT NOT NULL,
    state       INTEGER NOT NULL,
    packet_id   INTEGER NOT NULL,
    PRIMARY KEY (key, seq)
);

CREATE TABLE mqtt_retained (
    topic      TEXT NOT NULL PRIMARY KEY,
    payload    BLOB NOT NULL,
    properties BLOB NOT NULL,
    qos        INTEGER NOT NULL,
    expires_ms INTEGER
);
