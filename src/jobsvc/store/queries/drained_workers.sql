-- Finds those of these workers that are to take no more jobs.
-- $1 worker_id
SELECT worker_id, reason FROM jobsvc.drained_worker WHERE worker_id = ANY ($1::text[])
