-- Of the readings counted, how many a pass of folding has brought into chunks while the journal, which is counted apart,
-- still holds them: from the first slice of a pass until its last.
ALTER TABLE totals ADD COLUMN in_journal INTEGER NOT NULL DEFAULT 0;
