-- Puts leased jobs back into their queues, fenced as in finish_jobs, and never one that somebody
-- has asked to cancel in the meantime. A used attempt enters the history; an unused one is as if it
-- had not been.
-- $1 job_id, in order, $2 lease_id, $3 until, $4 delay, $5 attempt used, $6 error
WITH gone AS (
    DELETE FROM lease
    WHERE job_id = ANY ($1::uuid[])
        -- Where the job stands among those in $1, found by bisection.
        AND lease_id = ($2::bigint[])[width_bucket(job_id, $1::uuid[])]
        AND until <= coalesce(($3::timestamptz[])[width_bucket(job_id, $1::uuid[])], 'infinity')
        AND cancel_request_time IS NULL
    RETURNING *, width_bucket(job_id, $1::uuid[]) AS place, clock_timestamp() AS end_time
),
back AS (
    SELECT *, ($4::float8[])[place] AS delay, ($5::boolean[])[place] AS used,
        ($6::text[])[place] AS error
    FROM gone
),
history AS (
    INSERT INTO attempt (job_id, attempt, lease_id, worker_id, start_time, end_time, error)
    SELECT job_id, attempt, lease_id, worker_id, start_time, end_time, error FROM back WHERE used
),
placed AS (
    INSERT INTO waiting (
        job_id, queue, rank, run_at, attempt, returns, version, update_time, expire_time, keyed,
        released_lease, start_deadline)
    SELECT
        job_id, queue, rank, end_time + delay * interval '1 second',
        CASE WHEN used THEN attempt ELSE attempt - 1 END, returns,
        version + 1, end_time, expire_time, keyed, CASE WHEN NOT used THEN lease_id END,
        CASE WHEN NOT used THEN start_deadline END
    FROM back
)
SELECT lease_id, queue, end_time + delay * interval '1 second' AS run_at FROM back
