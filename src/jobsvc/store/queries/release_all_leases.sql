-- Moves every leased job back to its position in its queue, without using the attempt, except those
-- with a cancel request. A job that had begun in time is not late any more. Returns how many jobs
-- these are.
-- $1 whether only those that began before PostgreSQL was started
WITH gone AS (
    DELETE FROM jobsvc.lease
    WHERE cancel_request_time IS NULL
        AND (NOT $1::boolean OR start_time < pg_catalog.pg_postmaster_start_time())
    RETURNING *
),
queued AS (
    INSERT INTO jobsvc.waiting (
        job_id, queue, rank, run_at, attempt, redeliveries, version, update_time, expire_time,
        keyed, released_lease, counted_service)
    SELECT
        job_id, queue, rank, run_at, attempt - 1, redeliveries, version + 1, clock_timestamp(),
        expire_time, keyed, released_lease, counted_service
    FROM gone
)
SELECT count(*) AS jobs FROM gone
