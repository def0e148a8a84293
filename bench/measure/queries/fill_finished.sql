-- Finished jobs of a queue, as if a worker had run them.
-- $1 queue, $2 how many
WITH made AS (
    INSERT INTO jobsvc.job (
        id, queue, create_time, priority, max_attempts, initial_backoff, max_backoff,
        backoff_multiplier, attempt_timeout, owner_service, owner_user, traceparent, tracestate,
        input)
    SELECT uuidv7(), $1, clock_timestamp(), 0, 3, 1, 600, 2, 900, '', '', '', '',
        '{"n": "' || repeat('x', 191) || '"}'
    FROM generate_series(1, $2::integer)
    RETURNING id, create_time
)
INSERT INTO jobsvc.result (
    job_id, state, attempt, version, worker_id, lease_id, start_time, end_time, purge_time,
    progress_message)
SELECT id, 3, 1, 3, 'worker', 1, create_time, create_time,
    create_time + interval '7 days', ''
FROM made
