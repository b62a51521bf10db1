-- A block holds what one pass of folding had of some neighbouring series together: a row for each of ten thousand series
-- cost more than the few readings in it. Blocks are compacted and deleted group by group instead of fold by fold.

ALTER TABLE blocks RENAME TO old_blocks;

-- Ids ascend with the passes of folding: of two readings of the same time the one in the greater counts. Series `grp` × 16
-- to `grp` × 16 + 15 are a group. A block of one series names it in `series` and has data as chunks have; one of several
-- has NULL there. members: how many series; most: readings of the one that has most.
CREATE TABLE blocks (
    id       INTEGER PRIMARY KEY,
    grp      INTEGER NOT NULL,
    series   INTEGER,
    start_ms INTEGER NOT NULL,
    end_ms   INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    members  INTEGER NOT NULL,
    most     INTEGER NOT NULL,
    data     BLOB NOT NULL
);

-- Everything but the data: what waits, and what a range needs, is known without reading data.
CREATE INDEX blocks_of_group ON blocks (grp, id, series, start_ms, end_ms, count, members, most);

-- What a pass of compaction that is under way has brought into chunks stays out; of the series that it is in the middle
-- of, chunks and blocks say the same.
INSERT INTO blocks
SELECT row_number() OVER (ORDER BY fold, series, start_ms), series / 16, series, start_ms, end_ms, count, 1, count, data
FROM old_blocks
WHERE fold IN (SELECT id FROM folds)
    AND NOT EXISTS (SELECT 1 FROM compaction WHERE fold <= last_fold AND old_blocks.series < compaction.series);

-- The last block that counts: greater ids are those of a pass of folding that is under way, or was when a process ended.
ALTER TABLE totals ADD COLUMN last_block INTEGER NOT NULL DEFAULT 0;
UPDATE totals SET last_block = (SELECT coalesce(max(id), 0) FROM blocks);

DROP TABLE old_blocks;
DROP TABLE folds;
DROP TABLE compaction;

-- At most one row. Of the blocks of this group up to `last_block` everything of the series before `series` is in chunks.
CREATE TABLE compaction (
    grp        INTEGER NOT NULL,
    last_block INTEGER NOT NULL,
    series     INTEGER NOT NULL
);
