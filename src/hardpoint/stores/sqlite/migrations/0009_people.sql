-- People and programs limited to labels, what their sessions and tokens are known by, and device tokens in turn.

ALTER TABLE users ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';
ALTER TABLE users ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;

ALTER TABLE sign_ins ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sign_ins ADD COLUMN agent TEXT NOT NULL DEFAULT '';
ALTER TABLE sign_ins ADD COLUMN used_ms INTEGER NOT NULL DEFAULT 0;

ALTER TABLE api_tokens ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_tokens ADD COLUMN expires_ms INTEGER;
ALTER TABLE api_tokens ADD COLUMN made_by TEXT NOT NULL DEFAULT '';
ALTER TABLE api_tokens ADD COLUMN used_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_tokens ADD COLUMN used_from TEXT NOT NULL DEFAULT '';

ALTER TABLE devices ADD COLUMN old_token_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN old_token_until_ms INTEGER NOT NULL DEFAULT 0;

-- Who did what. Numbers ascend with time; the oldest are removed when there are too many, or they are too old.
CREATE TABLE audit (
    id        INTEGER PRIMARY KEY,
    at_ms     INTEGER NOT NULL,
    who       TEXT NOT NULL,
    via       TEXT NOT NULL,
    address   TEXT NOT NULL,
    what      TEXT NOT NULL,
    device_id TEXT NOT NULL,
    subject   TEXT NOT NULL,
    detail    TEXT NOT NULL,
    why       TEXT NOT NULL,
    result    TEXT NOT NULL
);
