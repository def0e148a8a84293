-- Puts back leases that were dealt to a worker and never confirmed, without using the attempt,
-- except where that has happened $3 times already: those are left to lapse.
-- $1 job_id, $2 lease_id, $3 most returns, $4 whether those that were confirmed go back too,
-- $5 whether they were never sent: then they do not count, and go back to where they stood
WITH gone AS (
    DELETE FROM lease
    WHERE job_id = ANY ($1::uuid[]) AND lease_id = ANY ($2::bigint[])
        AND ($4 OR NOT confirmed) AND ($5 OR returns < $3) AND cancel_request_time IS NULL
    RETURNING *
),
placed AS (
    INSERT INTO waiting (
        job_id, queue, rank, run_at, attempt, returns, version, update_time, expire_time, keyed,
        released_lease, start_deadline)
    SELECT
        job_id, queue, rank, CASE WHEN $5 THEN run_at ELSE clock_timestamp() END, attempt - 1,
        returns + CASE WHEN $5 THEN 0 ELSE 1 END, version + 1, clock_timestamp(), expire_time, keyed,
        released_lease, start_deadline
    FROM gone
)
SELECT job_id, lease_id, queue FROM gone
