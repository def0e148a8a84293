-- Ends leased jobs, fenced by lease id, and where `until` is given only if the lease has not been
-- extended past it. A job whose lease is another by now stays as it is and is missing in the answer.
-- $1 job_id, $2 lease_id, $3 until, $4 state, $5 retention, $6 error, $7 output
WITH gone AS (
    DELETE FROM lease
    USING unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::smallint[], $5::float8[],
                 $6::text[], $7::text[])
        AS ended (job_id, lease_id, until, state, retention, error, output)
    WHERE lease.job_id = ended.job_id AND lease.lease_id = ended.lease_id
        AND (ended.until IS NULL OR lease.until <= ended.until)
    RETURNING lease.*, ended.state, ended.retention, ended.error, ended.output,
        clock_timestamp() AS end_time
),
freed AS (
    DELETE FROM held_key USING gone WHERE gone.keyed AND held_key.job_id = gone.job_id
)
INSERT INTO result (
    job_id, state, attempt, version, worker_id, lease_id, start_time, end_time, purge_time,
    progress_percent, progress_message, cancel_request_time, error, output)
SELECT
    job_id, state, attempt, version + 1, worker_id, lease_id, start_time, end_time,
    end_time + retention * interval '1 second',
    progress_percent, progress_message, cancel_request_time, error, output
FROM gone
RETURNING lease_id
