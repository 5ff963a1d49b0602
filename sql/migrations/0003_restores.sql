-- Rebuilding from a backup: what a rebuild under way is made from, so that another one does not go
-- on with it.

ALTER TABLE daybook.rebuilds ADD COLUMN source text NOT NULL DEFAULT 'log';

COMMENT ON COLUMN daybook.rebuilds.source IS
    'What the new tables are made from: log, or a backup and the log after it';
