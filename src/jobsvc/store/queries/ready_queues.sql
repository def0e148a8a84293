-- Finds those of these queues that have a ready job; reads one job of each rank.
-- $1 queue
SELECT asked.queue
FROM unnest($1::text[]) AS asked (queue)
WHERE EXISTS (
    WITH RECURSIVE ranks AS (
        (SELECT rank FROM jobsvc.waiting WHERE waiting.queue = asked.queue ORDER BY rank LIMIT 1)
        UNION ALL
        SELECT (
            SELECT rank FROM jobsvc.waiting
            WHERE waiting.queue = asked.queue AND waiting.rank > ranks.rank
            ORDER BY rank LIMIT 1)
        FROM ranks WHERE ranks.rank IS NOT NULL
    )
    SELECT FROM ranks
    WHERE EXISTS (
        SELECT FROM jobsvc.waiting
        WHERE waiting.queue = asked.queue AND waiting.rank = ranks.rank
            AND run_at <= statement_timestamp()))
