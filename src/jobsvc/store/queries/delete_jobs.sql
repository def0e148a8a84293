-- Removes jobs that have ended. One whose request id must be remembered is emptied instead, as in
-- prune_jobs: for readers it does not exist. Returns the jobs.
-- $1 job_id, in order, $2 version, $3 request id window
WITH sorted AS MATERIALIZED (
    SELECT result.job_id, job.request_id IS NOT NULL
        AND result.end_time + $3::float8 * interval '1 second' > statement_timestamp() AS remembered
    FROM jobsvc.result
    CROSS JOIN LATERAL (
        SELECT request_id FROM jobsvc.job WHERE id = result.job_id OFFSET 0
    ) AS job
    WHERE result.job_id = ANY ($1::uuid[])
        -- width_bucket finds the array index of the job by bisection.
        AND result.version = ($2::bigint[])[width_bucket(result.job_id, $1::uuid[])]
        AND result.emptied_time IS NULL
    FOR UPDATE OF result
),
past AS (DELETE FROM jobsvc.attempt WHERE job_id = ANY (ARRAY(SELECT job_id FROM sorted))),
emptied AS (
    UPDATE jobsvc.result SET
        emptied_time = clock_timestamp(),
        purge_time = end_time + $3::float8 * interval '1 second',
        worker_id = '', lease_id = NULL, progress_percent = NULL, progress_message = '',
        cancel_reason = NULL, error = NULL, output = NULL
    WHERE job_id = ANY (ARRAY(SELECT job_id FROM sorted WHERE remembered))
    RETURNING job_id
),
stripped AS (
    UPDATE jobsvc.job SET input = NULL, labels = NULL, unique_key = NULL
    WHERE id = ANY (ARRAY(SELECT job_id FROM emptied))
),
gone AS (
    DELETE FROM jobsvc.result
    WHERE job_id = ANY (ARRAY(SELECT job_id FROM sorted WHERE NOT remembered))
    RETURNING job_id
),
removed AS (DELETE FROM jobsvc.job WHERE id = ANY (ARRAY(SELECT job_id FROM gone)))
SELECT job_id FROM sorted
