-- Removes ended jobs whose retention has passed. If the request id of a job must be remembered for
-- longer, the job is emptied until then: what its caller and its workers wrote goes, and what a
-- repetition of its creation is answered with stays. Returns how many jobs were due.
-- $1 limit, $2 request id window
WITH due AS MATERIALIZED (
    SELECT job_id, end_time + $2::float8 * interval '1 second' AS forget_time FROM jobsvc.result
    WHERE purge_time <= statement_timestamp()
    ORDER BY purge_time LIMIT $1 FOR UPDATE SKIP LOCKED
),
sorted AS MATERIALIZED (
    SELECT due.job_id,
        job.request_id IS NOT NULL AND due.forget_time > statement_timestamp() AS remembered
    FROM due
    LEFT JOIN LATERAL (
        SELECT request_id FROM jobsvc.job WHERE id = due.job_id OFFSET 0
    ) AS job ON true
),
past AS (DELETE FROM jobsvc.attempt WHERE job_id = ANY (ARRAY(SELECT job_id FROM due))),
emptied AS (
    UPDATE jobsvc.result SET
        emptied_time = coalesce(emptied_time, purge_time),
        purge_time = end_time + $2::float8 * interval '1 second',
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
SELECT count(*) FROM due
