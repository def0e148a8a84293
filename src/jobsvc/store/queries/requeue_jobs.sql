-- Moves leased jobs back into their queues, fenced as in finish_jobs, except those with a cancel
-- request. A used attempt enters the history; an unused one leaves no trace.
-- $1 job_id, in order, $2 lease_id, $3 until, $4 delay, $5 attempt used, $6 error
WITH gone AS (
    DELETE FROM jobsvc.lease
    WHERE job_id = ANY ($1::uuid[])
        -- width_bucket finds the array index of the job by bisection.
        AND lease_id = ($2::bigint[])[width_bucket(job_id, $1::uuid[])]
        AND until <= coalesce(($3::timestamptz[])[width_bucket(job_id, $1::uuid[])], 'infinity')
        AND cancel_request_time IS NULL
    RETURNING *, width_bucket(job_id, $1::uuid[]) AS index, clock_timestamp() AS end_time
),
back AS (
    SELECT *, ($4::float8[])[index] AS delay, ($5::boolean[])[index] AS used,
        ($6::text[])[index] AS error
    FROM gone
),
history AS (
    INSERT INTO jobsvc.attempt (job_id, attempt, lease_id, worker_id, start_time, end_time, error)
    SELECT job_id, attempt, lease_id, worker_id, start_time, end_time, error FROM back WHERE used
),
queued AS (
    INSERT INTO jobsvc.waiting (
        job_id, queue, rank, run_at, attempt, redeliveries, version, update_time, expire_time,
        keyed, released_lease, start_deadline, counted_service)
    SELECT
        job_id, queue, rank, end_time + delay * interval '1 second',
        CASE WHEN used THEN attempt ELSE attempt - 1 END, redeliveries,
        version + 1, end_time, expire_time, keyed, CASE WHEN NOT used THEN lease_id END,
        CASE WHEN NOT used THEN start_deadline END, counted_service
    FROM back
)
SELECT job_id, queue, end_time + delay * interval '1 second' AS run_at FROM back
