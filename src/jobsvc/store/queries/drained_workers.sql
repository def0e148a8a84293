-- Reads which workers are to take no more jobs, and why.
SELECT worker_id, reason FROM jobsvc.drained_worker
