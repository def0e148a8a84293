-- Removes a queue without jobs that have not ended, which this transaction has locked.
-- $1 name
WITH replaced AS (DELETE FROM jobsvc.replaced_schema WHERE queue = $1)
DELETE FROM jobsvc.queue WHERE name = $1
