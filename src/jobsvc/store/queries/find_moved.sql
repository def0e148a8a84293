-- Finds jobs that were moved or changed since a time, after their creation, with their version, in
-- the order of that time: a limited number of them, and all others of the time of the last.
-- $1 time, $2 whether that time itself counts, $3 most jobs, $4 queues (NULL for all)
SELECT job_id AS id, queue, version, update_time
FROM (
    (SELECT job_id, queue, version, update_time FROM jobsvc.waiting
     WHERE version > 1 AND update_time >= $1 AND ($2 OR update_time > $1)
        AND ($4::text[] IS NULL OR queue = ANY ($4))
     ORDER BY update_time FETCH FIRST $3 ROWS WITH TIES)
    UNION ALL
    (SELECT job_id, queue, version, update_time FROM jobsvc.lease
     WHERE update_time >= $1 AND ($2 OR update_time > $1)
        AND ($4::text[] IS NULL OR queue = ANY ($4))
     ORDER BY update_time FETCH FIRST $3 ROWS WITH TIES)
    UNION ALL
    (SELECT result.job_id, job.queue, result.version, result.end_time AS update_time
     FROM jobsvc.result
     CROSS JOIN LATERAL (SELECT queue FROM jobsvc.job WHERE id = result.job_id OFFSET 0) AS job
     WHERE end_time >= $1 AND ($2 OR end_time > $1) AND emptied_time IS NULL
        AND ($4::text[] IS NULL OR job.queue = ANY ($4))
     ORDER BY end_time FETCH FIRST $3 ROWS WITH TIES)
) AS moved
ORDER BY update_time FETCH FIRST $3 ROWS WITH TIES
