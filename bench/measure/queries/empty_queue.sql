-- Takes all jobs out of a queue at once, and leaves the rows behind that a vacuum would remove.
-- $1 queue
DELETE FROM waiting WHERE queue = $1
