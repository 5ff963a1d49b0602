-- Tables of the dictionary may say that the bytes of their rejected rows are not kept
-- (`rejectedRaw: digest`). Their digest is, so that who has the bytes can show that it was them.

ALTER TABLE daybook.rejections
    ADD COLUMN raw_digest bytea
        CONSTRAINT raw_digest_is_sha256 CHECK (octet_length(raw_digest) = 32);

COMMENT ON COLUMN daybook.rejections.raw_digest IS
    'SHA-256 of the original bytes where these are not kept; then raw is empty';
