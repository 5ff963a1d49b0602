-- What becomes of rejections: which are retries, what closed them, and their codes by themselves,
-- so that a page of any code is found without a search.

ALTER TABLE daybook.rejections ADD COLUMN retry_of bigint;

COMMENT ON COLUMN daybook.rejections.retry_of IS
    'The first rejection of the same row, where this one is a retry of it; what closes one of them '
    'closes all';

CREATE INDEX rejections_by_root
    ON daybook.rejections (retry_of) WHERE retry_of IS NOT NULL;

-- Times rise with positions, so a time is looked up among the batches, which are fewer.
CREATE INDEX batches_by_time
    ON daybook.batches (received_at);


CREATE TABLE daybook.rejection_codes (
    code      text   NOT NULL,
    position  bigint NOT NULL,
    columns   text[] NOT NULL,
    PRIMARY KEY (code, position)
);

COMMENT ON TABLE daybook.rejection_codes IS
    'One row for every code that a rejected row got';
COMMENT ON COLUMN daybook.rejection_codes.position IS
    'The rejection: daybook.rejections.position';
COMMENT ON COLUMN daybook.rejection_codes.columns IS
    'The columns that the reasons of this code name, each once';


CREATE TABLE daybook.rejection_closings (
    rejection   bigint      PRIMARY KEY,
    state       text        NOT NULL
        CONSTRAINT state_is_known CHECK (state IN ('corrected', 'waived')),
    position    bigint      NOT NULL,
    batch_id    uuid        NOT NULL,
    received_at timestamptz NOT NULL,
    principal   text,
    note        text
);

COMMENT ON TABLE daybook.rejection_closings IS
    'One row for every rejected row that is no longer open';
COMMENT ON COLUMN daybook.rejection_closings.rejection IS
    'The row''s first rejection: daybook.rejections.position, and retry_of of its retries';
COMMENT ON COLUMN daybook.rejection_closings.position IS
    'The event that closed it: the accepted row, or the waiver';
COMMENT ON COLUMN daybook.rejection_closings.principal IS
    'Who sent the row or waived it';
COMMENT ON COLUMN daybook.rejection_closings.note IS
    'Why it was waived';
