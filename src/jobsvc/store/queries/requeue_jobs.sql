-- Puts leased jobs back into their queues, fenced as in finish_jobs, and never one that somebody
-- has asked to cancel in the meantime. A used attempt enters the history; an unused one is as if it
-- had not been.
-- $1 job_id, $2 lease_id, $3 until, $4 delay, $5 attempt used, $6 error
WITH gone AS (
    DELETE FROM lease
    USING unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::float8[], $5::boolean[],
                 $6::text[])
        AS back (job_id, lease_id, until, delay, used, error)
    WHERE lease.job_id = back.job_id AND lease.lease_id = back.lease_id
        AND (back.until IS NULL OR lease.until <= back.until)
        AND lease.cancel_request_time IS NULL
    RETURNING lease.*, back.delay, back.used, back.error, clock_timestamp() AS end_time
),
history AS (
    INSERT INTO attempt (job_id, attempt, lease_id, worker_id, start_time, end_time, error)
    SELECT job_id, attempt, lease_id, worker_id, start_time, end_time, error FROM gone WHERE used
),
placed AS (
    INSERT INTO waiting (
        job_id, queue, rank, run_at, attempt, returns, version, update_time, expire_time, keyed,
        released_lease)
    SELECT
        job_id, queue, rank, end_time + delay * interval '1 second',
        CASE WHEN used THEN attempt ELSE attempt - 1 END, returns,
        version + 1, end_time, expire_time, keyed, CASE WHEN NOT used THEN lease_id END
    FROM gone
)
SELECT lease_id, queue, end_time + delay * interval '1 second' AS run_at FROM gone
