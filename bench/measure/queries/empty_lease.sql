-- Removes all leases of a queue at once; leaves the dead rows for a vacuum.
-- $1 queue
DELETE FROM jobsvc.lease WHERE queue = $1
