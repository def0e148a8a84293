-- Finds the jobs that are in some queues.
-- $1 id, $2 queues
SELECT id FROM jobsvc.job WHERE id = ANY ($1::uuid[]) AND queue = ANY ($2::text[])
