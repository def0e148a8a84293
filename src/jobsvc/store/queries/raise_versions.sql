-- Raises the versions of all queues, and of all jobs that may still change. Returns how many jobs
-- these are. It takes locks in the order of jobs, as all statements on leases do.
-- $1 by how much
WITH locked AS MATERIALIZED (
    SELECT job_id FROM jobsvc.lease ORDER BY job_id FOR UPDATE
),
leased AS (
    UPDATE jobsvc.lease SET version = version + $1::bigint
    WHERE job_id IN (SELECT job_id FROM locked)
    RETURNING 1
),
waits AS (
    UPDATE jobsvc.waiting SET version = version + $1 RETURNING 1
),
ended AS (
    UPDATE jobsvc.result SET version = version + $1
    WHERE state <> 3 AND emptied_time IS NULL
    RETURNING 1
),
queues AS (
    UPDATE jobsvc.queue SET revision = revision + $1
)
SELECT
    (SELECT count(*) FROM leased) + (SELECT count(*) FROM waits) + (SELECT count(*) FROM ended)
        AS jobs
