-- Finds jobs that were created since a time, in the order of their ids, which are made by the clocks
-- of replicas. Looks at a limited number of jobs: if that many were there, the last one is in the
-- result whether it was created since or not, since the next search begins behind it.
-- $1 time, $2 id to begin behind, $3 most jobs to look at, $4 queues (NULL for all)
SELECT id, queue, create_time, place = $3 AS ends_search,
    create_time >= $1 AND ($4::text[] IS NULL OR queue = ANY ($4)) AS matches
FROM (
    SELECT id, queue, create_time, row_number() OVER (ORDER BY id) AS place
    FROM (
        SELECT id, queue, create_time FROM jobsvc.job WHERE id > $2 ORDER BY id LIMIT $3
    ) AS oldest
) AS candidate
WHERE place = $3
    OR (create_time >= $1 AND ($4::text[] IS NULL OR queue = ANY ($4)))
ORDER BY id
