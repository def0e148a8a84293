-- Locks a queue against everything: waits for those who create jobs in it, and lets nobody begin to.
-- $1 name
SELECT FROM jobsvc.queue WHERE name = $1 FOR UPDATE
