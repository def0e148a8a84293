-- Fails waiting jobs that have expired, and those whose first attempt has not begun in time; if both
-- are true of a job, the earlier is the reason. Passes over jobs that others are about to move, but
-- waits for those that are named. Returns whether each has expired, or else not begun in time.
-- $1 limit of each kind, $2 error of the former (JSON), $3 error of the latter (JSON),
-- $4 default retention, $5 named jobs of either kind, beyond the limit.
-- 60 is _MIN_KEEP_SECONDS of domain/retention.py.
WITH expired AS MATERIALIZED (
    SELECT job_id FROM jobsvc.waiting
    WHERE expire_time <= statement_timestamp()
    ORDER BY expire_time LIMIT $1 FOR UPDATE SKIP LOCKED
),
unstarted AS MATERIALIZED (
    SELECT job_id FROM jobsvc.waiting
    WHERE start_deadline <= statement_timestamp()
    ORDER BY start_deadline LIMIT $1 FOR UPDATE SKIP LOCKED
),
named AS MATERIALIZED (
    SELECT job_id FROM jobsvc.waiting
    WHERE job_id = ANY ($5::uuid[])
        AND least(expire_time, start_deadline) <= statement_timestamp()
    ORDER BY job_id FOR UPDATE
),
gone AS (
    DELETE FROM jobsvc.waiting
    WHERE job_id = ANY (ARRAY(
        SELECT job_id FROM expired UNION ALL SELECT job_id FROM unstarted
        UNION ALL SELECT job_id FROM named))
    RETURNING *
),
freed AS (
    DELETE FROM jobsvc.held_key WHERE job_id = ANY (ARRAY(SELECT job_id FROM gone WHERE keyed))
),
ended AS (
    INSERT INTO jobsvc.result (
        job_id, state, attempt, version, worker_id, start_time, end_time, purge_time,
        progress_message, error)
    SELECT gone.job_id, 4, gone.attempt, gone.version + 1, coalesce(past.worker_id, ''),
        past.start_time, clock_timestamp(),
        clock_timestamp() + interval '1 second' * greatest(coalesce(job.retention, $4::float8), 60),
        '', CASE WHEN start_deadline IS NULL OR expire_time <= start_deadline THEN $2 ELSE $3 END
    FROM gone
    CROSS JOIN LATERAL (SELECT retention FROM jobsvc.job WHERE id = gone.job_id OFFSET 0) AS job
    LEFT JOIN LATERAL (
        SELECT worker_id, start_time FROM jobsvc.attempt
        WHERE job_id = gone.job_id AND attempt.attempt = gone.attempt OFFSET 0
    ) AS past ON true
)
SELECT job_id, queue, (start_deadline IS NULL OR expire_time <= start_deadline) IS TRUE AS expired
FROM gone
