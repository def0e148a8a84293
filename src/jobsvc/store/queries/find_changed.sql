-- Finds jobs whose status has another version than the one seen: a higher one, or a lower one after
-- the database went back (NULL if the job has ended or no longer exists).
-- $1 id, $2 version that was seen
SELECT seen.id, coalesce(waiting.version, lease.version) AS version
FROM unnest($1::uuid[], $2::bigint[]) AS seen (id, version)
LEFT JOIN LATERAL (
    SELECT version FROM jobsvc.waiting WHERE job_id = seen.id OFFSET 0
) AS waiting ON true
LEFT JOIN LATERAL (
    SELECT version FROM jobsvc.lease WHERE job_id = seen.id OFFSET 0
) AS lease ON true
WHERE coalesce(waiting.version, lease.version) IS DISTINCT FROM seen.version
