-- Queues jobs that FAILED or were CANCELLED again, with more attempts on top of those made. The
-- attempt that the job ended with enters the history. An expiry that has passed is lifted, and
-- start_within counts anew if no attempt is used. A unique key that is held fails the statement.
-- $1 job_id, in order, $2 version, $3 further attempts, $4 error (JSON) of an attempt that ended
-- without one, $5 service whose waiting jobs are counted (NULL for none)
WITH gone AS (
    DELETE FROM jobsvc.result
    WHERE job_id = ANY ($1::uuid[])
        -- width_bucket finds the array index of the job by bisection.
        AND version = ($2::bigint[])[width_bucket(job_id, $1::uuid[])]
        AND state IN (4, 5) AND emptied_time IS NULL
    RETURNING *, clock_timestamp() AS now
),
history AS (
    INSERT INTO jobsvc.attempt (job_id, attempt, lease_id, worker_id, start_time, end_time, error)
    SELECT job_id, attempt, lease_id, worker_id, start_time, end_time, coalesce(error, $4)
    FROM gone WHERE lease_id IS NOT NULL
),
made AS MATERIALIZED (
    SELECT array_agg(job_id ORDER BY job_id) AS jobs, array_agg(attempt ORDER BY job_id) AS attempts
    FROM gone
),
granted AS (
    UPDATE jobsvc.job SET
        max_attempts = least($3::integer + ((SELECT attempts FROM made))[
            width_bucket(id, (SELECT jobs FROM made)::uuid[])], 32767),
        expire_time = CASE WHEN expire_time > statement_timestamp() THEN expire_time END
    WHERE id = ANY ((SELECT jobs FROM made)::uuid[])
),
back AS (
    SELECT gone.job_id, gone.attempt, gone.version + 1 AS version, gone.now,
        job.queue, job.priority, job.unique_key, job.start_within,
        CASE WHEN job.owner_service = $5::text THEN job.owner_service END AS counted_service,
        CASE WHEN job.expire_time > statement_timestamp() THEN job.expire_time END AS expire_time,
        greatest(job.schedule_time, gone.now) AS run_at
    FROM gone
    CROSS JOIN LATERAL (SELECT * FROM jobsvc.job WHERE id = gone.job_id OFFSET 0) AS job
),
held AS (
    INSERT INTO jobsvc.held_key (queue, unique_key, job_id)
    SELECT queue, unique_key, job_id FROM back WHERE unique_key IS NOT NULL
)
INSERT INTO jobsvc.waiting (
    job_id, queue, rank, run_at, attempt, redeliveries, version, update_time, expire_time, keyed,
    start_deadline, counted_service)
SELECT job_id, queue, -priority, run_at, attempt, 0, version, now, expire_time,
    unique_key IS NOT NULL,
    CASE WHEN attempt = 0 THEN run_at + start_within * interval '1 second' END, counted_service
FROM back
RETURNING job_id, queue, extract(epoch FROM run_at - update_time)::float8 AS delay
