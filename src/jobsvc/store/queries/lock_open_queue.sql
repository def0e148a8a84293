-- Locks a queue in which jobs can be created against its removal, as create_jobs.sql does.
-- Returns how many jobs may wait in it.
-- $1 name
SELECT name, max_waiting FROM jobsvc.queue WHERE name = $1 AND delete_time IS NULL FOR KEY SHARE
