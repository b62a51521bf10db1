-- Readings move from one row each into compressed pieces: journal → blocks → chunks. See `stores/sqlite/__init__.py`.

-- What schema 1 kept. The rows go into chunks in the background, the oldest layer of all while they last.
ALTER TABLE readings RENAME TO legacy_readings;

-- One row a pass of folding; its blocks count only when it is here.
CREATE TABLE folds (
    id       INTEGER PRIMARY KEY,
    readings INTEGER NOT NULL
);

-- What one pass held of one series, in pieces by time. Ordered by fold first: a pass writes its pages one after another.
CREATE TABLE blocks (
    fold     INTEGER NOT NULL,
    series   INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms   INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    data     BLOB NOT NULL,
    PRIMARY KEY (fold, series, start_ms)
) WITHOUT ROWID;

-- At most one row. Of the folds up to `last_fold` everything of the series before `series`, and of this one what is
-- before `before_ms`, is in chunks already.
CREATE TABLE compaction (
    last_fold INTEGER NOT NULL,
    series    INTEGER NOT NULL,
    before_ms INTEGER NOT NULL
);

-- Pieces of a series that never overlap. A summary, and where the readings are: wide ranges read nothing else.
-- form: 0 all readings, 1 thinned, 2 all readings and no values in the summary, which would be too large here.
-- open: 1 when the next readings of the series may join it. min, max, sum, first, last as in `legacy_readings.value`.
CREATE TABLE chunks (
    series   INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms   INTEGER NOT NULL,
    form     INTEGER NOT NULL,
    open     INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    numbers  INTEGER NOT NULL,
    min,
    min_ms   INTEGER,
    max,
    max_ms   INTEGER,
    sum,
    first,
    last,
    data_id  INTEGER NOT NULL,
    parts    INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (series, start_ms)
) WITHOUT ROWID;

-- A chunk's data in `parts` rows from `data_id` on, each of such a size that a page holds several with little room to
-- spare. Those of open chunks lie apart: they are rewritten soon, and would leave half-empty pages among the others.
CREATE TABLE chunk_data (
    id   INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);
CREATE TABLE open_data (
    id   INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);

-- What a check found damaged, out of the readers' way.
CREATE TABLE quarantine (
    id       INTEGER PRIMARY KEY,
    place    TEXT NOT NULL,
    series   INTEGER,
    start_ms INTEGER,
    end_ms   INTEGER,
    readings INTEGER NOT NULL,
    problem  TEXT NOT NULL,
    data     BLOB,
    noted_ms INTEGER NOT NULL
);
