-- The version of each job's status; a job that is gone is missing.
-- $1 id
SELECT asked.id, coalesce(waiting.version, lease.version, result.version) AS version
FROM unnest($1::uuid[]) AS asked (id)
LEFT JOIN LATERAL (SELECT version FROM waiting WHERE job_id = asked.id OFFSET 0) AS waiting ON true
LEFT JOIN LATERAL (SELECT version FROM lease WHERE job_id = asked.id OFFSET 0) AS lease ON true
LEFT JOIN LATERAL (SELECT version FROM result WHERE job_id = asked.id OFFSET 0) AS result ON true
WHERE coalesce(waiting.version, lease.version, result.version) IS NOT NULL
