-- Fails waiting jobs that have passed their expire_time.
-- $1 limit, $2 error (JSON), $3 default retention, $4 request id window
WITH due AS MATERIALIZED (
    SELECT job_id FROM waiting
    WHERE expire_time <= statement_timestamp()
    ORDER BY expire_time LIMIT $1 FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM waiting WHERE job_id = ANY (ARRAY(SELECT job_id FROM due)) RETURNING *
),
freed AS (
    DELETE FROM held_key WHERE job_id = ANY (ARRAY(SELECT job_id FROM gone WHERE keyed))
)
INSERT INTO result (
    job_id, state, attempt, version, worker_id, start_time, end_time, purge_time,
    progress_message, error)
SELECT gone.job_id, 4, gone.attempt, gone.version + 1, coalesce(past.worker_id, ''),
    past.start_time, clock_timestamp(),
    clock_timestamp() + interval '1 second' * greatest(
        coalesce(job.retention, $3::float8),
        CASE WHEN job.request_id IS NOT NULL THEN $4::float8 ELSE 60 END),
    '', $2
FROM gone
CROSS JOIN LATERAL (
    SELECT retention, request_id FROM job WHERE id = gone.job_id OFFSET 0
) AS job
LEFT JOIN LATERAL (
    SELECT worker_id, start_time FROM attempt
    WHERE job_id = gone.job_id AND attempt.attempt = gone.attempt OFFSET 0
) AS past ON true
RETURNING job_id
