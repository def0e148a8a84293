-- Removes jobs of a queue that is being removed, in whatever state, among the next jobs by id. Returns one row: the last
-- id that was looked at (NULL at the end of all jobs), the jobs that were removed, and how many more
-- of the queue others were about to move: those are left.
-- $1 queue, $2 id to look behind, $3 most jobs to look at
WITH looked_at AS MATERIALIZED (
    SELECT id, queue FROM jobsvc.job WHERE id > $2::uuid ORDER BY id LIMIT $3
),
own AS MATERIALIZED (
    SELECT id FROM looked_at
    -- Others may have ended the removal, and somebody has made the queue anew.
    WHERE queue = $1 AND EXISTS (
        SELECT FROM jobsvc.queue WHERE name = $1 AND delete_time IS NOT NULL)
),
waited AS (
    DELETE FROM jobsvc.waiting WHERE job_id = ANY (ARRAY(SELECT id FROM own)) RETURNING job_id
),
leased AS (
    DELETE FROM jobsvc.lease WHERE job_id = ANY (ARRAY(SELECT id FROM own)) RETURNING job_id
),
ended AS (
    DELETE FROM jobsvc.result WHERE job_id = ANY (ARRAY(SELECT id FROM own)) RETURNING job_id
),
gone AS MATERIALIZED (
    SELECT job_id FROM waited UNION ALL SELECT job_id FROM leased UNION ALL SELECT job_id FROM ended
),
past AS (DELETE FROM jobsvc.attempt WHERE job_id = ANY (ARRAY(SELECT job_id FROM gone))),
freed AS (DELETE FROM jobsvc.held_key WHERE job_id = ANY (ARRAY(SELECT job_id FROM gone))),
removed AS (DELETE FROM jobsvc.job WHERE id = ANY (ARRAY(SELECT job_id FROM gone)))
SELECT
    (SELECT id FROM looked_at ORDER BY id DESC LIMIT 1) AS last,
    ARRAY(SELECT job_id FROM gone) AS removed,
    (SELECT count(*) FROM own) - (SELECT count(*) FROM gone) AS left_over
