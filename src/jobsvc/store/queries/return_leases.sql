-- Puts back leases that were dealt to a worker and never confirmed, without using the attempt,
-- except where that has happened $3 times already: those are left to lapse.
-- $1 job_id, $2 lease_id, $3 most returns, $4 whether those that were confirmed go back too
WITH gone AS (
    DELETE FROM lease
    USING unnest($1::uuid[], $2::bigint[]) AS back (job_id, lease_id)
    WHERE lease.job_id = back.job_id AND lease.lease_id = back.lease_id
        AND ($4 OR NOT lease.confirmed) AND lease.returns < $3 AND lease.cancel_request_time IS NULL
    RETURNING lease.*
),
placed AS (
    INSERT INTO waiting (
        job_id, queue, rank, run_at, attempt, returns, version, update_time, expire_time, keyed)
    SELECT job_id, queue, rank, clock_timestamp(), attempt - 1, returns + 1, version + 1,
        clock_timestamp(), expire_time, keyed
    FROM gone
)
SELECT job_id, lease_id, queue FROM gone
