-- Accepted rows that were taken back: they are in no table any more, and this says which, when and
-- why.

CREATE TABLE daybook.retractions (
    first_position bigint      PRIMARY KEY,
    end_position   bigint      NOT NULL
        CONSTRAINT range_has_rows CHECK (first_position < end_position),
    position       bigint      NOT NULL,
    batch_id       uuid        NOT NULL,
    received_at    timestamptz NOT NULL,
    principal      text,
    note           text        NOT NULL
);

COMMENT ON TABLE daybook.retractions IS
    'One row for every range of positions whose accepted rows were retracted';
COMMENT ON COLUMN daybook.retractions.first_position IS
    'The first position of the range; rejected rows in it were never rows of a table';
COMMENT ON COLUMN daybook.retractions.end_position IS
    'The position after the last of the range';
COMMENT ON COLUMN daybook.retractions.position IS
    'The event that retracted them';
COMMENT ON COLUMN daybook.retractions.principal IS
    'Who retracted them';
COMMENT ON COLUMN daybook.retractions.note IS
    'Why';
