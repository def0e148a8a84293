-- Estimates how many jobs match a filter that a caller may see, as JobFilter.matches does, from the
-- jobs on about a thousand pages of the table, the same ones as long as it does not grow.
-- $1 queues (NULL for all), $2 states (NULL for all), $3 labels (JSON; NULL for any), $4 service
-- (NULL for all jobs of all services), $5 user, $6 session of the caller, $7 whether only jobs of that user, $8 whether only jobs of that
-- session, $9 first create_time, $10 end of create_time
WITH sampling AS MATERIALIZED (
    SELECT least(100, 100000.0 / greatest(pages, 1))::float4 AS percent
    FROM (
        SELECT pg_relation_size((SELECT tableoid FROM jobsvc.job ORDER BY id LIMIT 1))
            / current_setting('block_size')::bigint AS pages
    ) AS size
)
SELECT (count(*) * 100 / coalesce((SELECT percent FROM sampling), 100))::bigint AS jobs
FROM (
    SELECT id FROM jobsvc.job
        TABLESAMPLE SYSTEM (coalesce((SELECT percent FROM sampling), 100)) REPEATABLE (0)
    WHERE ($1::text[] IS NULL OR queue = ANY ($1))
        AND ($3::jsonb IS NULL OR labels @> $3)
        AND ($9::timestamptz IS NULL OR create_time >= $9)
        AND ($10::timestamptz IS NULL OR create_time < $10)
        AND ($4::text IS NULL OR (owner_service = $4
            AND ((owner_user = '' AND owner_session IS NULL)
                OR (owner_user <> '' AND owner_user = $5) OR owner_session = $6)))
        AND (NOT $7 OR (owner_user <> '' AND owner_user = $5))
        AND (NOT $8 OR owner_session = $6)
    OFFSET 0
) AS job
LEFT JOIN LATERAL (SELECT job_id FROM jobsvc.waiting WHERE job_id = job.id OFFSET 0) AS waiting
    ON true
LEFT JOIN LATERAL (SELECT job_id FROM jobsvc.lease WHERE job_id = job.id OFFSET 0) AS lease ON true
LEFT JOIN LATERAL (
    SELECT state, emptied_time FROM jobsvc.result WHERE job_id = job.id OFFSET 0
) AS result ON true
WHERE result.emptied_time IS NULL
    AND ($2::smallint[] IS NULL OR CASE
        WHEN waiting.job_id IS NOT NULL THEN 1
        WHEN lease.job_id IS NOT NULL THEN 2
        ELSE result.state END = ANY ($2))
