-- Leased jobs of a queue, whose leases outlive the measurement.
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
INSERT INTO jobsvc.lease (
    job_id, lease_id, queue, rank, attempt, redeliveries, version, update_time, keyed, worker_id,
    start_time, duration, until, deadline)
SELECT id, 1, $1, 0, 1, 0, 2, create_time, false, 'worker', create_time, 30,
    create_time + interval '1 hour', create_time + interval '1 hour'
FROM made
