-- Cancels jobs that have not ended: ends those that wait, and requests it for those that are leased,
-- whose attempt then has a short while to end. One that is requested already is left alone.
-- Returns the jobs, with the lease number of those that are leased.
-- $1 job_id, in order, $2 version (sparse; NULL for any), $3 reason, $4 default retention, $5 grace,
-- $6 states (NULL for both).
-- 60 is _MIN_KEEP_SECONDS of domain/retention.py.
WITH gone AS (
    DELETE FROM jobsvc.waiting
    WHERE job_id = ANY ($1::uuid[]) AND ($6::smallint[] IS NULL OR 1 = ANY ($6))
        -- width_bucket finds the array index of the job by bisection.
        AND version = coalesce(($2::bigint[])[width_bucket(job_id, $1::uuid[])], version)
    RETURNING *, clock_timestamp() AS end_time
),
freed AS (
    DELETE FROM jobsvc.held_key WHERE job_id = ANY (ARRAY(SELECT job_id FROM gone WHERE keyed))
),
ended AS (
    INSERT INTO jobsvc.result (
        job_id, state, attempt, version, worker_id, start_time, end_time, purge_time,
        progress_message, cancel_request_time, cancel_reason, error)
    SELECT gone.job_id, 5, gone.attempt, gone.version + 1, coalesce(past.worker_id, ''),
        past.start_time, gone.end_time,
        gone.end_time + interval '1 second' * greatest(coalesce(job.retention, $4::float8), 60),
        '', gone.end_time, nullif($3, ''), past.error
    FROM gone
    CROSS JOIN LATERAL (SELECT retention FROM jobsvc.job WHERE id = gone.job_id OFFSET 0) AS job
    LEFT JOIN LATERAL (
        SELECT worker_id, start_time, error FROM jobsvc.attempt
        WHERE job_id = gone.job_id AND attempt.attempt = gone.attempt OFFSET 0
    ) AS past ON true
),
requested AS (
    UPDATE jobsvc.lease SET
        cancel_request_time = clock_timestamp(), cancel_reason = $3,
        version = version + 1, update_time = clock_timestamp(),
        -- No extension goes past the deadline, and at the deadline the lease is taken away.
        deadline = least(deadline, clock_timestamp() + $5::float8 * interval '1 second'),
        until = least(until, clock_timestamp() + $5::float8 * interval '1 second')
    WHERE job_id = ANY ($1::uuid[]) AND ($6::smallint[] IS NULL OR 2 = ANY ($6))
        AND cancel_request_time IS NULL
        AND version = coalesce(($2::bigint[])[width_bucket(job_id, $1::uuid[])], version)
    RETURNING job_id, lease_id
)
SELECT job_id, NULL::bigint AS lease_id FROM gone
UNION ALL
SELECT job_id, lease_id FROM requested
