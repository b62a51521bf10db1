-- Who was told of an alert, and in which message a delivery leaves.

ALTER TABLE alerts ADD COLUMN told TEXT NOT NULL DEFAULT '[]';
ALTER TABLE deliveries ADD COLUMN message INTEGER;
