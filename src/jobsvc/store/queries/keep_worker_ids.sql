-- Records that streams are here, and returns the worker ids that they still have.
-- $1 worker_id, in order, $2 stream_id, $3 token_digest
INSERT INTO jobsvc.worker_stream (worker_id, stream_id, token_digest, last_seen)
SELECT worker_id, stream_id, token_digest, clock_timestamp()
FROM unnest($1::text[], $2::text[], $3::bytea[]) AS here (worker_id, stream_id, token_digest)
ON CONFLICT (worker_id) DO UPDATE SET last_seen = excluded.last_seen
WHERE worker_stream.stream_id = excluded.stream_id
RETURNING worker_id
