-- Queues jobs that FAILED or were CANCELLED again, with more attempts on top of those made. The
-- attempt that the job ended with enters the history. An expiry that has passed is lifted, and
-- start_within counts anew if no attempt is used. A unique key that is held fails the statement.
-- $1 job_id, in order, $2 version, $3 further attempts, $4 error (JSON) of an attempt that ended
-- without one
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
granted AS (
    UPDATE jobsvc.job SET
        max_attempts = least(gone.attempt + $3::integer, 32767),
        expire_time = CASE WHEN expire_time > gone.now THEN expire_time END
    FROM gone WHERE job.id = gone.job_id
    RETURNING job.id, job.queue, job.priority, job.unique_key, job.expire_time, job.start_within,
        gone.attempt, gone.version, gone.now, greatest(job.schedule_time, gone.now) AS run_at
),
held AS (
    INSERT INTO jobsvc.held_key (queue, unique_key, job_id)
    SELECT queue, unique_key, id FROM granted WHERE unique_key IS NOT NULL
)
INSERT INTO jobsvc.waiting (
    job_id, queue, rank, run_at, attempt, redeliveries, version, update_time, expire_time, keyed,
    start_deadline)
SELECT id, queue, -priority, run_at, attempt, 0, version + 1, now, expire_time,
    unique_key IS NOT NULL,
    CASE WHEN attempt = 0 THEN run_at + start_within * interval '1 second' END
FROM granted
RETURNING job_id, queue, extract(epoch FROM run_at - update_time)::float8 AS delay
