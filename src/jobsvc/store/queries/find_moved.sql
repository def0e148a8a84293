-- Finds jobs that were moved or changed since a time, after their creation, with their version, in
-- the order of that time. Looks at a limited number of changes, and all others of the time of the
-- last one, which is in the result whether it is of the queues or not.
-- $1 time, $2 whether that time itself counts, $3 most changes to look at, $4 queues (NULL for all)
SELECT id, queue, version, update_time, candidates,
    NOT is_emptied AND ($4::text[] IS NULL OR queue = ANY ($4)) AS matches
FROM (
    SELECT moved.job_id AS id, coalesce(moved.queue, job.queue) AS queue, version, update_time,
        is_emptied,
        row_number() OVER (ORDER BY update_time, moved.job_id) AS place,
        count(*) OVER () AS candidates
    FROM (
        SELECT job_id, queue, version, update_time, is_emptied
        FROM (
            (SELECT job_id, queue, version, update_time, false AS is_emptied
             FROM jobsvc.waiting
             WHERE version > 1 AND update_time >= $1 AND ($2 OR update_time > $1)
             ORDER BY update_time FETCH FIRST $3 ROWS WITH TIES)
            UNION ALL
            (SELECT job_id, queue, version, update_time, false
             FROM jobsvc.lease
             WHERE update_time >= $1 AND ($2 OR update_time > $1)
             ORDER BY update_time FETCH FIRST $3 ROWS WITH TIES)
            UNION ALL
            (SELECT job_id, NULL, version, end_time, emptied_time IS NOT NULL
             FROM jobsvc.result
             WHERE end_time >= $1 AND ($2 OR end_time > $1)
             ORDER BY end_time FETCH FIRST $3 ROWS WITH TIES)
        ) AS source
        ORDER BY update_time FETCH FIRST $3 ROWS WITH TIES
    ) AS moved
    LEFT JOIN LATERAL (
        SELECT queue FROM jobsvc.job WHERE id = moved.job_id AND moved.queue IS NULL OFFSET 0
    ) AS job ON true
) AS candidate
WHERE place = candidates
    OR (NOT is_emptied AND ($4::text[] IS NULL OR queue = ANY ($4)))
ORDER BY place
