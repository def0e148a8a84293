-- Moves leased jobs that their worker never confirmed back into their queues, without using the
-- attempt. A job that was redelivered $3 times already keeps its lease until the lease lapses.
-- $1 job_id, $2 lease_id, $3 maximum of redeliveries, $4 whether confirmed ones go back too,
-- $5 whether they were never sent: then nothing is counted, and they keep their queue position
WITH gone AS (
    DELETE FROM jobsvc.lease
    WHERE job_id = ANY ($1::uuid[]) AND lease_id = ANY ($2::bigint[])
        AND ($4 OR NOT confirmed) AND ($5 OR redeliveries < $3) AND cancel_request_time IS NULL
    RETURNING *
),
queued AS (
    INSERT INTO jobsvc.waiting (
        job_id, queue, rank, run_at, attempt, redeliveries, version, update_time, expire_time,
        keyed, released_lease, start_deadline, counted_service)
    SELECT
        job_id, queue, rank, CASE WHEN $5 THEN run_at ELSE clock_timestamp() END, attempt - 1,
        redeliveries + CASE WHEN $5 THEN 0 ELSE 1 END, version + 1, clock_timestamp(), expire_time,
        keyed, released_lease, start_deadline, counted_service
    FROM gone
)
SELECT job_id, lease_id, queue FROM gone
