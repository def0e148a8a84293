-- Ends the jobs of all leases with a cancel request: CANCELLED, as if their time had run out.
-- Returns how many these are.
-- $1 default retention, $2 whether only those that began before PostgreSQL was started. 60 is _MIN_KEEP_SECONDS of domain/retention.py.
WITH gone AS (
    DELETE FROM jobsvc.lease
    WHERE cancel_request_time IS NOT NULL
        AND (NOT $2::boolean OR start_time < pg_catalog.pg_postmaster_start_time())
    RETURNING *, clock_timestamp() AS end_time
),
freed AS (
    DELETE FROM jobsvc.held_key WHERE job_id = ANY (ARRAY(SELECT job_id FROM gone WHERE keyed))
),
ended AS (
    INSERT INTO jobsvc.result (
        job_id, state, attempt, version, worker_id, lease_id, start_time, end_time, purge_time,
        progress_percent, progress_message, cancel_request_time, cancel_reason)
    SELECT
        job_id, 5, attempt, version + 1, worker_id, lease_id, start_time, end_time,
        end_time + interval '1 second' * greatest(coalesce(job.retention, $1::float8), 60),
        progress_percent, progress_message, cancel_request_time, nullif(cancel_reason, '')
    FROM gone JOIN jobsvc.job ON job.id = gone.job_id
)
SELECT count(*) AS jobs FROM gone
