-- Waiting jobs of a queue, as if a caller had created them.
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
INSERT INTO jobsvc.waiting (
    job_id, queue, rank, run_at, attempt, redeliveries, version, update_time, keyed)
SELECT id, $1, 0, create_time, 0, 0, 1, create_time, false FROM made
