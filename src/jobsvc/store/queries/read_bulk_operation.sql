-- Reads a bulk operation.
-- $1 id
SELECT * FROM jobsvc.bulk_operation WHERE id = $1
