-- Seconds until the next job of some queues may run. NULL if none waits.
-- $1 queues
SELECT greatest(extract(epoch FROM min(run_at) - statement_timestamp()), 0)::float8 AS seconds
FROM jobsvc.waiting WHERE queue = ANY ($1::text[])
