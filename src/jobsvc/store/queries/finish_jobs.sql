-- Ends leased jobs, fenced by lease id, and where `until` is given only if the lease has not been
-- extended past it. A job whose lease is another by now stays as it is and is missing in the answer.
-- $1 lease id (job id and number, words), $2 until (sparse), $3 state (short), $4 retention (short),
-- $5 error (documents), $6 output (documents); see columns.py
WITH gone AS (
    DELETE FROM lease
    USING (
        SELECT split_part(id, '.', 1)::uuid AS job_id, split_part(id, '.', 2)::bigint AS lease_id,
            until, coalesce(state, ($3::smallint[])[1]) AS state,
            coalesce(retention, ($4::float8[])[1]) AS retention, error, output
        FROM unnest(
            string_to_array($1::text, ' '), $2::timestamptz[], $3::smallint[], $4::float8[],
            string_to_array($5::text, E'\x1f', ''), string_to_array($6::text, E'\x1f', '')
        ) AS asked (id, until, state, retention, error, output)
    ) AS ended
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
