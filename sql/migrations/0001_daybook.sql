-- Daybook's own tables. The event log is the truth; everything here is derived from it and can be
-- made again from it.

CREATE SCHEMA IF NOT EXISTS daybook;

COMMENT ON SCHEMA daybook IS
    'Daybook''s own tables, derived from the event log: what came in, what was refused and why, '
    'and how far each projection has come';


-- Every batch that was submitted, with the count of its verdicts.

CREATE TABLE daybook.batches (
    position        bigint      PRIMARY KEY,
    id              uuid        NOT NULL UNIQUE,
    received_at     timestamptz NOT NULL,
    source          text,
    principal       text,
    idempotency_key text,
    table_name      text        NOT NULL,
    format          text,
    rows            int,
    accepted        int,
    rejected        int,
    dictionary      text,
    first_line      bigint
);

COMMENT ON TABLE daybook.batches IS
    'One row a batch: what one request or one chunk of an import submitted';
COMMENT ON COLUMN daybook.batches.position IS
    'Position in the log of the batch''s first event; the next batch starts at position + rows';
COMMENT ON COLUMN daybook.batches.id IS
    'The id the caller was answered with';
COMMENT ON COLUMN daybook.batches.received_at IS
    'When the ledger took it: rises with position, never runs back';
COMMENT ON COLUMN daybook.batches.source IS
    'Where it came from: an HTTP request, a file';
COMMENT ON COLUMN daybook.batches.principal IS
    'Who sent it: the name of an API key, or local:<user>';
COMMENT ON COLUMN daybook.batches.idempotency_key IS
    'The caller''s own key; the same key from the same principal is never applied twice';
COMMENT ON COLUMN daybook.batches.table_name IS
    'The table of the dictionary that its rows are for';
COMMENT ON COLUMN daybook.batches.format IS
    'What it was sent as: json, ndjson, csv, avro';
COMMENT ON COLUMN daybook.batches.rows IS
    'How many rows were judged: accepted + rejected';
COMMENT ON COLUMN daybook.batches.dictionary IS
    'Version of the data dictionary that judged it (a digest)';
COMMENT ON COLUMN daybook.batches.first_line IS
    'For files, the line that its first row starts at, from 1';


-- Every row that was refused, with its bytes as they came and every reason.

CREATE TABLE daybook.rejections (
    position    bigint      PRIMARY KEY,
    batch_id    uuid        NOT NULL,
    table_name  text        NOT NULL,
    source      text,
    line        bigint,
    received_at timestamptz NOT NULL,
    principal   text,
    raw         bytea       NOT NULL,
    raw_length  bigint      NOT NULL,
    reasons     jsonb       NOT NULL,
    state       text        NOT NULL DEFAULT 'open'
        CONSTRAINT state_is_known CHECK (state IN ('open', 'corrected', 'waived'))
);

-- What people ask for: the open ones of a table, newest first. Few other indexes, for rejections
-- are written in bulk.
CREATE INDEX rejections_by_table_and_state
    ON daybook.rejections (table_name, state, position);
CREATE INDEX rejections_by_batch
    ON daybook.rejections (batch_id);

COMMENT ON TABLE daybook.rejections IS
    'One row a rejected row: what was sent, why it was refused, what became of it';
COMMENT ON COLUMN daybook.rejections.position IS
    'The rejection''s own position in the log';
COMMENT ON COLUMN daybook.rejections.batch_id IS
    'The batch it came in: daybook.batches.id';
COMMENT ON COLUMN daybook.rejections.line IS
    'For files, the first physical line of the row, from 1';
COMMENT ON COLUMN daybook.rejections.raw IS
    'The original bytes, cut where they are very long; as text: convert_from(raw, ''UTF8'')';
COMMENT ON COLUMN daybook.rejections.raw_length IS
    'How many bytes were sent';
COMMENT ON COLUMN daybook.rejections.reasons IS
    'Every reason in order of precedence: [{"code", "column", "message"}, …]';
COMMENT ON COLUMN daybook.rejections.state IS
    'open, corrected (a good row was sent in its place) or waived (someone decided to let it go)';


-- How far each projection has come. A projection's rows and its checkpoint are committed together,
-- so the two never disagree.

CREATE TABLE daybook.checkpoints (
    projection text        PRIMARY KEY,
    ledger     uuid        NOT NULL,
    position   bigint      NOT NULL,
    tree_size  bigint      NOT NULL,
    root       bytea       NOT NULL,
    state      text        NOT NULL DEFAULT 'running',
    reason     text,
    updated_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE daybook.checkpoints IS
    'One row a projection: the point of the log up to which its tables hold everything';
COMMENT ON COLUMN daybook.checkpoints.projection IS
    'A table of the dictionary, an aggregate, or audit (batches and rejections)';
COMMENT ON COLUMN daybook.checkpoints.ledger IS
    'Id of the ledger it was derived from';
COMMENT ON COLUMN daybook.checkpoints.position IS
    'Every event before this position is applied, none from it on';
COMMENT ON COLUMN daybook.checkpoints.tree_size IS
    'Leaves of the log''s hash tree at that point';
COMMENT ON COLUMN daybook.checkpoints.root IS
    'Root of the hash tree at that point: tells a log that went back in time or forked';
COMMENT ON COLUMN daybook.checkpoints.state IS
    'running, or failed: it stands before an event that it cannot apply';
COMMENT ON COLUMN daybook.checkpoints.reason IS
    'Why it does not run';
