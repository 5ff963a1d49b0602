-- Rebuilding projections: what each one was built by, and the rebuilds under way and done.

ALTER TABLE daybook.checkpoints ADD COLUMN shape text;

COMMENT ON COLUMN daybook.checkpoints.shape IS
    'What the dictionary said of the projection when it was built (a digest): another one means '
    'that it is to be built anew';
COMMENT ON COLUMN daybook.checkpoints.state IS
    'running; paused by an operator; failed: it stands before an event that it cannot apply';


-- Tables that are built beside the live ones, and those that were live before.

CREATE SCHEMA daybook_build;
CREATE SCHEMA daybook_old;

COMMENT ON SCHEMA daybook_build IS
    'Tables that `daybook rebuild` is filling from the log; they are swapped in when they are done';
COMMENT ON SCHEMA daybook_old IS
    'Tables as they were before their last rebuild, for `daybook rebuild --undo`';


-- The last rebuild of every projection, under way or done.

CREATE TABLE daybook.rebuilds (
    projection      text        PRIMARY KEY,
    ledger          uuid        NOT NULL,
    shape           text        NOT NULL,
    phase           text        NOT NULL
        CONSTRAINT phase_is_known CHECK (phase IN ('filling', 'keys', 'following', 'swapped')),
    position        bigint      NOT NULL,
    tree_size       bigint      NOT NULL,
    root            bytea       NOT NULL,
    started_at      timestamptz NOT NULL DEFAULT now(),
    swapped_at      timestamptz,
    old_position    bigint,
    old_tree_size   bigint,
    old_root        bytea,
    old_shape       text
);

COMMENT ON TABLE daybook.rebuilds IS
    'One row a projection that is being rebuilt or was';
COMMENT ON COLUMN daybook.rebuilds.phase IS
    'filling: rows are copied; keys: indexes are made; following: new events are applied; swapped: '
    'it is the live one, and the one before is in daybook_old';
COMMENT ON COLUMN daybook.rebuilds.position IS
    'While it is filled: where the filling is to end. Then: every event before it is applied';
COMMENT ON COLUMN daybook.rebuilds.old_position IS
    'Where the projection stood that was swapped out';


-- What is filled already: pieces of the log, by position, so that a rebuild that was killed goes
-- on.

CREATE TABLE daybook.rebuild_pieces (
    projection    text   NOT NULL,
    from_position bigint NOT NULL,
    to_position   bigint NOT NULL,
    PRIMARY KEY (projection, from_position)
);

COMMENT ON TABLE daybook.rebuild_pieces IS
    'Pieces of the log that a rebuild has copied: events from from_position up to to_position';
