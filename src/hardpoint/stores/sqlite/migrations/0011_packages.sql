-- Packages of firmware; what is in them lies in files beside the database.

CREATE TABLE packages (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    title        TEXT NOT NULL,
    version      TEXT NOT NULL,
    size         INTEGER NOT NULL,
    sha256       TEXT NOT NULL,
    file_name    TEXT NOT NULL,
    content_type TEXT NOT NULL,
    created_ms   INTEGER NOT NULL
) WITHOUT ROWID;
