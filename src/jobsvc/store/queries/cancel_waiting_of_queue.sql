-- Cancels the next waiting jobs of a queue, in its order. Passes over jobs that others are about to
-- move. Returns each, with its position.
-- $1 queue, $2 limit, $3 reason, $4 default retention, and the position of the last job of the batch
-- before (NULL for the first batch): $5 rank, $6 run_at, $7 job_id.
-- 60 is _MIN_KEEP_SECONDS of domain/retention.py.
WITH next AS MATERIALIZED (
    SELECT job_id FROM jobsvc.waiting
    WHERE queue = $1 AND (rank, run_at, job_id) > (
        coalesce($5::smallint, -32768), coalesce($6::timestamptz, '-infinity'),
        coalesce($7::uuid, '00000000-0000-0000-0000-000000000000'))
    ORDER BY rank, run_at, job_id LIMIT $2 FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM jobsvc.waiting WHERE job_id = ANY (ARRAY(SELECT job_id FROM next))
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
)
SELECT job_id, rank, run_at FROM gone
