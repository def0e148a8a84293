-- The version of each job's status; a job that is gone is missing.
-- $1 id
SELECT asked.id, coalesce(waiting.version, lease.version, result.version) AS version
FROM unnest($1::uuid[]) AS asked (id)
LEFT JOIN waiting ON waiting.job_id = asked.id
LEFT JOIN lease ON lease.job_id = asked.id
LEFT JOIN result ON result.job_id = asked.id
WHERE coalesce(waiting.version, lease.version, result.version) IS NOT NULL
