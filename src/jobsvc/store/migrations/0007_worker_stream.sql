-- The stream that has each worker id, and the digest of the token with which its worker may open
-- another. Lost in a crash, and written again soon.
CREATE UNLOGGED TABLE worker_stream (
    worker_id    text PRIMARY KEY,
    stream_id    text NOT NULL,
    token_digest bytea NOT NULL,
    last_seen    timestamptz NOT NULL
);
