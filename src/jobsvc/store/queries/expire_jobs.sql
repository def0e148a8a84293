-- Ends waiting jobs whose time is over.
-- $1 most rows, $2 error (JSON), $3 default retention, $4 request id window
WITH due AS MATERIALIZED (
    SELECT job_id FROM waiting
    WHERE expire_time <= statement_timestamp()
    ORDER BY expire_time LIMIT $1 FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM waiting USING due WHERE waiting.job_id = due.job_id RETURNING waiting.*
),
freed AS (
    DELETE FROM held_key USING gone WHERE gone.keyed AND held_key.job_id = gone.job_id
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
JOIN job ON job.id = gone.job_id
LEFT JOIN attempt AS past ON past.job_id = gone.job_id AND past.attempt = gone.attempt
RETURNING job_id
