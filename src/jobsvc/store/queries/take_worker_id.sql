-- Gives a worker id to a stream, unless another one has it: one of the same token, or one that was
-- not seen lately, loses it.
-- $1 worker_id, $2 stream_id, $3 token_digest, $4 whether to take it from any other stream,
-- $5 age in seconds that still counts as lately
INSERT INTO jobsvc.worker_stream (worker_id, stream_id, token_digest, last_seen)
VALUES ($1, $2, $3, clock_timestamp())
ON CONFLICT (worker_id) DO UPDATE SET
    stream_id = excluded.stream_id, token_digest = excluded.token_digest,
    last_seen = excluded.last_seen
WHERE worker_stream.token_digest = excluded.token_digest
    OR $4
    OR worker_stream.last_seen < clock_timestamp() - $5::float8 * interval '1 second'
RETURNING worker_id
