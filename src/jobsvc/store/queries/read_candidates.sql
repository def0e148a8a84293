-- Reads what a bulk operation must know of jobs: little, since they are many.
-- $1 id
SELECT
    job.id, job.queue, job.unique_key, job.expire_time,
    CASE WHEN waiting.job_id IS NOT NULL THEN 1 WHEN lease.job_id IS NOT NULL THEN 2
         ELSE result.state END AS state,
    coalesce(waiting.version, lease.version, result.version) AS version,
    coalesce(lease.cancel_request_time, result.cancel_request_time) IS NOT NULL AS cancel_requested,
    waiting.run_at, clock_timestamp() AS read_time
FROM jobsvc.job
LEFT JOIN LATERAL (
    SELECT job_id, version, run_at FROM jobsvc.waiting WHERE job_id = job.id OFFSET 0
) AS waiting ON true
LEFT JOIN LATERAL (
    SELECT job_id, version, cancel_request_time FROM jobsvc.lease WHERE job_id = job.id OFFSET 0
) AS lease ON true
LEFT JOIN LATERAL (
    SELECT version, state, cancel_request_time, emptied_time
    FROM jobsvc.result WHERE job_id = job.id OFFSET 0
) AS result ON true
WHERE job.id = ANY ($1::uuid[]) AND result.emptied_time IS NULL
