-- Finds jobs whose status has a later version than the one seen (NULL if the job no longer exists,
-- or is emptied).
-- $1 id, $2 version that was seen
SELECT seen.id, coalesce(waiting.version, lease.version, result.version) AS version
FROM unnest($1::uuid[], $2::bigint[]) AS seen (id, version)
LEFT JOIN LATERAL (
    SELECT version FROM jobsvc.waiting WHERE job_id = seen.id OFFSET 0
) AS waiting ON true
LEFT JOIN LATERAL (
    SELECT version FROM jobsvc.lease WHERE job_id = seen.id OFFSET 0
) AS lease ON true
LEFT JOIN LATERAL (
    SELECT version FROM jobsvc.result WHERE job_id = seen.id AND emptied_time IS NULL OFFSET 0
) AS result ON true
WHERE (coalesce(waiting.version, lease.version, result.version) > seen.version) IS NOT FALSE
