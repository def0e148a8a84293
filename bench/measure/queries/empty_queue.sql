-- Removes all jobs from a queue at once; leaves the dead rows for a vacuum.
-- $1 queue
DELETE FROM jobsvc.waiting WHERE queue = $1
