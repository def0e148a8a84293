-- Walks jobs from the newest on, and finds those that match a filter and that a caller may see, as
-- JobFilter.matches does. Walks a limited number of candidates: if that many were there, the last
-- one is in the result whether it matches or not, since the next walk begins behind it.
-- $1 queues (NULL for all), $2 states (NULL for all), $3 labels (JSON; NULL for any), $4 service
-- (NULL for all jobs of all services), $5 user, $6 session of the caller, $7 whether only jobs of that user, $8 whether only jobs of that
-- session, $9 first create_time, $10 end of create_time, $11 which candidates (see JobWalk),
-- $12 id to start before, $13 id to end with, $14 most candidates, $15 most jobs,
-- $16 whether to measure payloads
SELECT
    candidate.id, candidate.place = $14 AS ends_walk,
    (job.id IS NOT NULL AND result.emptied_time IS NULL
        AND ($2::smallint[] IS NULL OR CASE
            WHEN waiting.job_id IS NOT NULL THEN 1
            WHEN lease.job_id IS NOT NULL THEN 2
            ELSE result.state END = ANY ($2))) AS matches,
    -- The length of a text is known without reading it.
    CASE WHEN $16 THEN coalesce(job.input_bytes, 0) + coalesce(result.output_bytes, 0) ELSE 0
    END AS payload_bytes
FROM (
    SELECT newest.id, row_number() OVER (ORDER BY newest.id DESC) AS place
    FROM (
        SELECT source.id FROM (
            (SELECT id FROM jobsvc.job
             WHERE $11 = 'job' AND id < $12 AND id >= $13 ORDER BY id DESC LIMIT $14)
            UNION ALL
            (SELECT id FROM jobsvc.job
             WHERE $11 = 'user' AND owner_user = $5 AND owner_user <> '' AND id < $12 AND id >= $13
             ORDER BY id DESC LIMIT $14)
            UNION ALL
            (SELECT id FROM jobsvc.job
             WHERE $11 = 'session' AND owner_session = $6 AND id < $12 AND id >= $13
             ORDER BY id DESC LIMIT $14)
            UNION ALL
            (SELECT job_id FROM jobsvc.waiting
             WHERE $11 = 'state' AND 1 = ANY ($2) AND job_id < $12 AND job_id >= $13
             ORDER BY job_id DESC LIMIT $14)
            UNION ALL
            (SELECT job_id FROM jobsvc.lease
             WHERE $11 = 'state' AND 2 = ANY ($2) AND job_id < $12 AND job_id >= $13
             ORDER BY job_id DESC LIMIT $14)
            UNION ALL
            (SELECT job_id FROM jobsvc.result
             WHERE $11 = 'state' AND 4 = ANY ($2) AND state = 4 AND job_id < $12 AND job_id >= $13
             ORDER BY job_id DESC LIMIT $14)
            UNION ALL
            (SELECT job_id FROM jobsvc.result
             WHERE $11 = 'state' AND 5 = ANY ($2) AND state = 5 AND job_id < $12 AND job_id >= $13
             ORDER BY job_id DESC LIMIT $14)
        ) AS source
        ORDER BY source.id DESC LIMIT $14
    ) AS newest
) AS candidate
LEFT JOIN LATERAL (
    SELECT id, octet_length(input) AS input_bytes FROM jobsvc.job
    WHERE id = candidate.id
        AND ($1::text[] IS NULL OR queue = ANY ($1))
        AND ($3::jsonb IS NULL OR labels @> $3)
        AND ($9::timestamptz IS NULL OR create_time >= $9)
        AND ($10::timestamptz IS NULL OR create_time < $10)
        AND ($4::text IS NULL OR (owner_service = $4
            AND ((owner_user = '' AND owner_session IS NULL)
                OR (owner_user <> '' AND owner_user = $5) OR owner_session = $6)))
        AND (NOT $7 OR (owner_user <> '' AND owner_user = $5))
        AND (NOT $8 OR owner_session = $6)
    OFFSET 0
) AS job ON true
LEFT JOIN LATERAL (SELECT job_id FROM jobsvc.waiting WHERE job_id = job.id OFFSET 0) AS waiting
    ON true
LEFT JOIN LATERAL (SELECT job_id FROM jobsvc.lease WHERE job_id = job.id OFFSET 0) AS lease ON true
LEFT JOIN LATERAL (
    SELECT state, emptied_time, octet_length(output) AS output_bytes
    FROM jobsvc.result WHERE job_id = job.id OFFSET 0
) AS result ON true
WHERE candidate.place = $14
    OR (job.id IS NOT NULL AND result.emptied_time IS NULL
        AND ($2::smallint[] IS NULL OR CASE
            WHEN waiting.job_id IS NOT NULL THEN 1
            WHEN lease.job_id IS NOT NULL THEN 2
            ELSE result.state END = ANY ($2)))
ORDER BY candidate.id DESC
LIMIT $15
