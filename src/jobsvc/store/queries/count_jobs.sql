-- Counts the waiting and running jobs of each queue, with the age of the oldest ready one. Reads a
-- few thousand jobs at most. If there are more, their number is estimated from the jobs whose ids
-- have the smallest hashes: when n hashes are spread evenly over 2^32, the k-th smallest is about
-- k / n of the way.
-- $1 queue (NULL for all)
WITH leased AS MATERIALIZED (
    SELECT jsonb_object_agg(by_queue.queue, by_queue.leases) AS leases
    FROM (SELECT lease.queue, count(*) AS leases FROM jobsvc.lease GROUP BY lease.queue) AS by_queue
)
SELECT
    queue.name, queue.paused AND (queue.pause_end_time <= statement_timestamp()) IS NOT TRUE AS is_paused,
    queue.delete_time IS NOT NULL AS is_deleting,
    CASE WHEN seen.scheduled <= 1000 THEN seen.scheduled
         ELSE greatest(1000, drawn.scheduled * drawn.scale)::bigint END AS scheduled,
    CASE WHEN seen.ready <= 1000 THEN seen.ready
         ELSE greatest(1000, drawn.ready * drawn.scale)::bigint END AS ready,
    coalesce((SELECT leases ->> queue.name FROM leased)::bigint, 0) AS processing,
    extract(epoch FROM clock_timestamp() - seen.oldest)::float8 AS oldest_seconds,
    queue.max_waiting
FROM jobsvc.queue
CROSS JOIN LATERAL (
    WITH RECURSIVE ranks AS (
        (SELECT rank FROM jobsvc.waiting WHERE waiting.queue = queue.name ORDER BY rank LIMIT 1)
        UNION ALL
        SELECT (
            SELECT rank FROM jobsvc.waiting
            WHERE waiting.queue = queue.name AND waiting.rank > ranks.rank
            ORDER BY rank LIMIT 1)
        FROM ranks WHERE ranks.rank IS NOT NULL
    )
    SELECT
        (SELECT count(*) FROM (
            SELECT FROM ranks CROSS JOIN LATERAL (
                SELECT FROM jobsvc.waiting
                WHERE waiting.queue = queue.name AND waiting.rank = ranks.rank
                    AND run_at > statement_timestamp()
                LIMIT 1001) AS next
            LIMIT 1001) AS few) AS scheduled,
        (SELECT count(*) FROM (
            SELECT FROM ranks CROSS JOIN LATERAL (
                SELECT FROM jobsvc.waiting
                WHERE waiting.queue = queue.name AND waiting.rank = ranks.rank
                    AND run_at <= statement_timestamp()
                LIMIT 1001) AS next
            LIMIT 1001) AS few) AS ready,
        (SELECT min(first.run_at) FROM ranks CROSS JOIN LATERAL (
            SELECT run_at FROM jobsvc.waiting
            WHERE waiting.queue = queue.name AND waiting.rank = ranks.rank
                AND run_at <= statement_timestamp()
            ORDER BY run_at LIMIT 1) AS first) AS oldest
) AS seen
CROSS JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE run_at > statement_timestamp()) AS scheduled,
        count(*) FILTER (WHERE run_at <= statement_timestamp()) AS ready,
        CASE WHEN count(*) < 2000 THEN 8  -- one job in eight is drawn
             ELSE 2 ^ 32 / (max(draw)::float8 + 2 ^ 31) END AS scale
    FROM (
        SELECT run_at, uuid_hash(job_id) AS draw FROM jobsvc.waiting
        WHERE (seen.scheduled > 1000 OR seen.ready > 1000)
            AND waiting.queue = queue.name AND uuid_hash(job_id) < -1610612736
        ORDER BY uuid_hash(job_id) LIMIT 2000
    ) AS smallest
) AS drawn
WHERE queue.name = ANY (coalesce($1::text[], ARRAY(SELECT name FROM jobsvc.queue)))
ORDER BY queue.name
