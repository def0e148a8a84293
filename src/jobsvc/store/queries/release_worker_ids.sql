-- Releases the worker ids of streams that have ended, and those of streams that no replica has seen
-- for a minute.
-- $1 worker_id, $2 stream_id
DELETE FROM jobsvc.worker_stream
WHERE (worker_id = ANY ($1::text[]) AND stream_id = ANY ($2::text[]))
    OR last_seen < clock_timestamp() - interval '1 minute'
