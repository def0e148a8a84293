-- Reads when the stream that has a worker id was last seen.
-- $1 worker_id
SELECT last_seen FROM jobsvc.worker_stream WHERE worker_id = $1
