-- Counts the waiting jobs of a queue: exactly if there are at most $2, else by an estimate from the
-- ids with the smallest hashes, as count_jobs.sql does.
-- $1 queue, $2 most to count
SELECT CASE WHEN seen.waiting <= $2::bigint THEN seen.waiting
            ELSE greatest($2, drawn.waiting)::bigint END AS waiting
FROM (
    SELECT count(*) AS waiting FROM (
        SELECT FROM jobsvc.waiting WHERE queue = $1 LIMIT $2::bigint + 1) AS few
) AS seen
CROSS JOIN LATERAL (
    SELECT count(*) * CASE WHEN count(*) < 2000 THEN 8  -- one job in eight is drawn
        ELSE 2 ^ 32 / (max(draw)::float8 + 2 ^ 31) END AS waiting
    FROM (
        SELECT uuid_hash(job_id) AS draw FROM jobsvc.waiting
        WHERE seen.waiting > $2 AND queue = $1 AND uuid_hash(job_id) < -1610612736
        ORDER BY uuid_hash(job_id) LIMIT 2000
    ) AS smallest
) AS drawn
