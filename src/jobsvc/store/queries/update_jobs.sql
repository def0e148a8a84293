-- Changes jobs that wait. With another schedule they are ready then, or now, between two attempts
-- too; one that is ready already keeps its position. Returns their queues and delays in seconds.
-- $1 job_id, in order, $2 version, $3 names of the columns to change, $4 priority, $5 schedule_time,
-- $6 expire_time, $7 labels (JSON), $8 input (JSON)
WITH moved AS (
    UPDATE jobsvc.waiting SET
        rank = CASE WHEN 'priority' = ANY ($3::text[]) THEN -$4::smallint ELSE rank END,
        (run_at, start_deadline) = (
            SELECT moved.run_at,
                CASE WHEN waiting.start_deadline IS NULL THEN NULL
                     WHEN 'schedule_time' = ANY ($3::text[])
                     THEN moved.run_at + job.start_within * interval '1 second'
                     ELSE waiting.start_deadline END
            FROM (
                SELECT CASE WHEN NOT 'schedule_time' = ANY ($3::text[]) THEN waiting.run_at
                            WHEN $5::timestamptz > clock_timestamp() THEN $5
                            ELSE least(waiting.run_at, clock_timestamp()) END AS run_at
            ) AS moved
            CROSS JOIN jobsvc.job WHERE job.id = waiting.job_id
        ),
        expire_time =
            CASE WHEN 'expire_time' = ANY ($3::text[]) THEN $6::timestamptz ELSE expire_time END,
        version = version + 1, update_time = clock_timestamp()
    WHERE job_id = ANY ($1::uuid[])
        -- width_bucket finds the array index of the job by bisection.
        AND version = ($2::bigint[])[width_bucket(job_id, $1::uuid[])]
    RETURNING job_id, queue, run_at
),
changed AS (
    UPDATE jobsvc.job SET
        priority = CASE WHEN 'priority' = ANY ($3::text[]) THEN $4::smallint ELSE priority END,
        schedule_time = CASE WHEN 'schedule_time' = ANY ($3::text[]) THEN $5 ELSE schedule_time END,
        expire_time = CASE WHEN 'expire_time' = ANY ($3::text[]) THEN $6 ELSE expire_time END,
        labels = CASE WHEN 'labels' = ANY ($3::text[]) THEN $7::jsonb ELSE labels END,
        input = CASE WHEN 'input' = ANY ($3::text[]) THEN $8::text ELSE input END
    WHERE id = ANY (ARRAY(SELECT job_id FROM moved))
)
SELECT job_id, queue, greatest(extract(epoch FROM run_at - clock_timestamp())::float8, 0) AS delay
FROM moved
