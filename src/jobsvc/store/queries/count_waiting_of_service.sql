-- Counts the waiting jobs of a service whose jobs are counted.
-- $1 owner_service
SELECT count(*) AS waiting FROM jobsvc.waiting WHERE counted_service = $1
