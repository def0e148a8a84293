-- Seconds until the next job of some queues may run, below 0 if it may. NULL if none waits.
-- $1 queues
SELECT extract(epoch FROM min(run_at) - statement_timestamp())::float8 AS seconds
FROM jobsvc.waiting WHERE queue = ANY ($1::text[])
