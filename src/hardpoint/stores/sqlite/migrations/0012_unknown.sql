-- Unknown devices that wait to be adopted; devices that are muted; what an alert fired on.

CREATE TABLE unknown_devices (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    address  TEXT NOT NULL,
    dialect  TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    tries    INTEGER NOT NULL,
    ignored  INTEGER NOT NULL,
    frames   TEXT NOT NULL
);
ALTER TABLE devices ADD COLUMN muted_until_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN "when" TEXT NOT NULL DEFAULT '{}';
