-- Reads the inputs of the jobs that leave a queue first, as many as fit into a number of bytes, and
-- names the rest without them.
-- $1 queue, $2 number of jobs, $3 bytes
SELECT bytes <= $3::bigint AS fits, CASE WHEN bytes <= $3::bigint THEN input END AS input
FROM (
    SELECT
        input,
        coalesce(sum(octet_length(input)) OVER (ROWS UNBOUNDED PRECEDING), 0) AS bytes
    FROM (
        -- Not a join, which might walk along all jobs for each of these.
        SELECT (SELECT job.input FROM jobsvc.job WHERE job.id = waiting.job_id) AS input
        FROM jobsvc.waiting
        WHERE waiting.queue = $1
        ORDER BY waiting.rank, waiting.run_at, waiting.job_id
        LIMIT $2::integer
    ) AS first
) AS counted
