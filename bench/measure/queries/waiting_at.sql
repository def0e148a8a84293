-- The job at a place in a queue, in the order in which jobs leave it; NULL if there is none.
-- $1 queue, $2 place, from 0
SELECT job_id FROM jobsvc.waiting WHERE queue = $1 ORDER BY rank, run_at, job_id OFFSET $2 LIMIT 1
