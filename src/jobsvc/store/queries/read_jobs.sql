-- Reads jobs as they are now, each from `job` and the one table that its state names. Where commits
-- wait for a standby, this one does too: what was read is there after a failover.
-- $1 id, $2 whether to read inputs, $3 whether to read outputs, $4 whether to read emptied jobs
SELECT
    job.id, job.queue, job.create_time, job.schedule_time, job.expire_time, job.priority,
    job.max_attempts, job.initial_backoff, job.max_backoff, job.backoff_multiplier,
    job.attempt_timeout, job.retention, job.start_within,
    job.owner_service, job.owner_user, job.owner_session, job.request_id, job.request_digest,
    job.unique_key, job.labels::text AS labels, job.traceparent, job.tracestate,
    CASE WHEN $2 THEN job.input END AS input,
    CASE WHEN waiting.job_id IS NOT NULL THEN 1 WHEN lease.job_id IS NOT NULL THEN 2
         ELSE result.state END AS state,
    coalesce(waiting.version, lease.version, result.version) AS version,
    coalesce(waiting.attempt, lease.attempt, result.attempt) AS attempt,
    coalesce(waiting.update_time, lease.update_time, result.end_time) AS update_time,
    coalesce(lease.start_time, result.start_time, past.start_time) AS start_time,
    coalesce(lease.worker_id, result.worker_id, past.worker_id, '') AS worker_id,
    coalesce(result.error, past.error) AS error,
    coalesce(lease.progress_percent, result.progress_percent) AS progress_percent,
    coalesce(lease.progress_message, result.progress_message, '') AS progress_message,
    coalesce(lease.cancel_request_time, result.cancel_request_time) AS cancel_request_time,
    coalesce(lease.cancel_reason, result.cancel_reason, '') AS cancel_reason,
    waiting.run_at, lease.until, result.end_time,
    coalesce(result.emptied_time, result.purge_time) AS purge_time,
    CASE WHEN $3 THEN result.output END AS output,
    clock_timestamp() AS read_time
FROM jobsvc.job
LEFT JOIN LATERAL (SELECT * FROM jobsvc.waiting WHERE job_id = job.id OFFSET 0) AS waiting ON true
LEFT JOIN LATERAL (SELECT * FROM jobsvc.lease WHERE job_id = job.id OFFSET 0) AS lease ON true
LEFT JOIN LATERAL (SELECT * FROM jobsvc.result WHERE job_id = job.id OFFSET 0) AS result ON true
LEFT JOIN LATERAL (
    SELECT * FROM jobsvc.attempt
    WHERE job_id = waiting.job_id AND attempt.attempt = waiting.attempt OFFSET 0
) AS past ON true
WHERE job.id = ANY ($1::uuid[]) AND ($4 OR result.emptied_time IS NULL)
    AND CASE
        WHEN current_setting('synchronous_standby_names') = ''
            OR current_setting('synchronous_commit') IN ('local', 'off')
            OR pg_is_in_recovery() THEN true
        -- With WAL of its own, its commit waits for all that it has seen.
        ELSE pg_logical_emit_message(true, '', '') IS NOT NULL
    END
