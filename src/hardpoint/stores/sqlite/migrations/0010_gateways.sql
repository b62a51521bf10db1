-- Devices that attach others and those that are behind them, and offers to be claimed.

ALTER TABLE devices ADD COLUMN gateway INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN via TEXT NOT NULL DEFAULT '';

CREATE TABLE claims (
    device_id   TEXT PRIMARY KEY,
    secret_hash TEXT NOT NULL,
    until_ms    INTEGER NOT NULL
) WITHOUT ROWID;
