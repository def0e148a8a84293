-- Ends leased jobs, fenced by lease id; with `until`, only if the lease was not extended past it. A
-- job that has another lease by now is left alone and has no row in the result. A failure that was
-- decided before the job's cancellation was requested, and comes after it, is a cancellation.
-- Each row has the status of the job, without error and output, if it is one of $9.
-- $1 lease id (job id and number, words) in order, $2 until (sparse), $3 state (short),
-- $4 retention (short), $5 error (documents), $6 output (documents), $7 and $8 percent and message
-- of the progress (sparse; NULL keeps that of the lease), $9 jobs whose status is wanted, in order;
-- see columns.py
WITH asked AS MATERIALIZED (
    SELECT
        array_agg(split_part(id, '.', 1)::uuid) AS jobs,
        array_agg(split_part(id, '.', 2)::bigint) AS leases,
        string_to_array($5::text, E'\x1f', '') AS errors,
        string_to_array($6::text, E'\x1f', '') AS outputs
    FROM unnest(string_to_array($1::text, ' ')) AS id
),
gone AS (
    DELETE FROM jobsvc.lease
    WHERE job_id = ANY ((SELECT jobs FROM asked)::uuid[])
        -- width_bucket finds the array index of the job by bisection.
        AND lease_id = ((SELECT leases FROM asked)::bigint[])[
            width_bucket(job_id, (SELECT jobs FROM asked)::uuid[])]
        AND until <= coalesce(
            ($2::timestamptz[])[width_bucket(job_id, (SELECT jobs FROM asked)::uuid[])], 'infinity')
    RETURNING *, width_bucket(job_id, (SELECT jobs FROM asked)::uuid[]) AS index,
        clock_timestamp() AS end_time
),
freed AS (
    DELETE FROM jobsvc.held_key WHERE job_id = ANY (ARRAY(SELECT job_id FROM gone WHERE keyed))
)
INSERT INTO jobsvc.result (
    job_id, state, attempt, version, worker_id, lease_id, start_time, end_time, purge_time,
    progress_percent, progress_message, cancel_request_time, cancel_reason, error, output)
SELECT
    job_id, CASE WHEN state = 4 AND cancel_request_time IS NOT NULL THEN 5 ELSE state END,
    attempt, version + 1, worker_id, lease_id, start_time, end_time,
    end_time + coalesce(($4::float8[])[index], ($4::float8[])[1]) * interval '1 second',
    coalesce(($7::smallint[])[index], progress_percent),
    coalesce(($8::text[])[index], progress_message), cancel_request_time,
    nullif(cancel_reason, ''), ((SELECT errors FROM asked))[index], ((SELECT outputs FROM asked))[index]
FROM (
    SELECT *, coalesce(($3::smallint[])[index], ($3::smallint[])[1]) AS state FROM gone
) AS gone
RETURNING job_id,
    CASE WHEN job_id = ($9::uuid[])[width_bucket(job_id, $9::uuid[])] THEN ROW(
        state, attempt, version, worker_id, start_time, end_time, purge_time, progress_percent,
        progress_message, cancel_request_time, cancel_reason)
    END AS status
