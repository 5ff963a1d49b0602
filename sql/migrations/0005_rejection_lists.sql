-- Lists of rejections by where they came from. That is said of a batch, so it is looked up among
-- the batches that have any, which are far fewer than the rejections.

CREATE INDEX batches_by_source
    ON daybook.batches (source, position) WHERE rejected > 0;
CREATE INDEX batches_by_principal
    ON daybook.batches (principal, position) WHERE rejected > 0;
