-- Finds rows that contradict each other, as only a change by hand or damage leaves them: of each kind
-- how many there are, and the first of them. Reads whole tables, in one snapshot.
-- $1 schema, $2 how many names to return of each kind
WITH found AS (
    SELECT 'job_nowhere' AS kind, id::text AS name FROM jobsvc.job
    WHERE NOT EXISTS (SELECT FROM jobsvc.waiting WHERE job_id = job.id)
        AND NOT EXISTS (SELECT FROM jobsvc.lease WHERE job_id = job.id)
        AND NOT EXISTS (SELECT FROM jobsvc.result WHERE job_id = job.id)
    UNION ALL
    SELECT 'job_twice', job_id::text FROM (
        SELECT job_id FROM jobsvc.waiting JOIN jobsvc.lease USING (job_id)
        UNION
        SELECT job_id FROM jobsvc.waiting JOIN jobsvc.result USING (job_id)
        UNION
        SELECT job_id FROM jobsvc.lease JOIN jobsvc.result USING (job_id)
    ) AS twice
    UNION ALL
    SELECT 'orphan', place || ' ' || job_id FROM (
        SELECT 'waiting' AS place, job_id FROM jobsvc.waiting
        UNION ALL SELECT 'lease', job_id FROM jobsvc.lease
        UNION ALL SELECT 'result', job_id FROM jobsvc.result
        UNION ALL SELECT DISTINCT 'attempt', job_id FROM jobsvc.attempt
        UNION ALL SELECT 'held_key', job_id FROM jobsvc.held_key
    ) AS placed
    WHERE NOT EXISTS (SELECT FROM jobsvc.job WHERE id = placed.job_id)
    UNION ALL
    SELECT kind, open.job_id::text
    FROM (
        SELECT job_id, queue, attempt, keyed FROM jobsvc.waiting
        UNION ALL SELECT job_id, queue, attempt, keyed FROM jobsvc.lease
    ) AS open
    JOIN jobsvc.job ON job.id = open.job_id
    LEFT JOIN jobsvc.held_key ON held_key.job_id = open.job_id
    CROSS JOIN LATERAL (
        VALUES
            ('queue_differs', open.queue <> job.queue),
            ('queue_missing', NOT EXISTS (
                SELECT FROM jobsvc.queue WHERE queue.name = open.queue
            )),
            ('too_many_attempts', open.attempt > job.max_attempts),
            ('key_not_held', open.keyed AND held_key.job_id IS NULL)
    ) AS look (kind, is_wrong)
    WHERE is_wrong
    UNION ALL
    SELECT 'key_held_by_ended', held_key.job_id::text
    FROM jobsvc.held_key JOIN jobsvc.job ON job.id = held_key.job_id
    WHERE NOT EXISTS (SELECT FROM jobsvc.waiting WHERE job_id = job.id AND keyed)
        AND NOT EXISTS (SELECT FROM jobsvc.lease WHERE job_id = job.id AND keyed)
    UNION ALL
    SELECT 'too_many_attempts', job_id::text
    FROM jobsvc.result JOIN jobsvc.job ON job.id = job_id
    WHERE result.attempt > job.max_attempts
    UNION ALL
    SELECT 'schema_missing', user_of || ' ' || name FROM (
        SELECT 'queue' AS user_of, name, unnest(ARRAY[input_schema_id, output_schema_id]) AS id
        FROM jobsvc.queue
        UNION ALL
        SELECT 'job', job_id::text, output_schema_id
        FROM (
            SELECT job_id FROM jobsvc.waiting UNION ALL SELECT job_id FROM jobsvc.lease
        ) AS open JOIN jobsvc.job ON job.id = job_id
    ) AS used
    WHERE id IS NOT NULL
        AND NOT EXISTS (SELECT FROM jobsvc.payload_schema WHERE payload_schema.id = used.id)
    UNION ALL
    SELECT 'schema_ids_behind', max(id)::text FROM jobsvc.payload_schema
    HAVING max(id) > (
        SELECT CASE WHEN pg_catalog.has_sequence_privilege(pg_class.oid, 'SELECT')
            THEN coalesce(pg_catalog.pg_sequence_last_value(pg_class.oid), 0) END
        FROM pg_catalog.pg_class
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = $1 AND relname = 'payload_schema_id_seq'
    )
    UNION ALL
    SELECT 'session_key_missing', 'session_key'
    WHERE NOT EXISTS (SELECT FROM jobsvc.secret WHERE name = 'session_key')
)
SELECT kind, count(*) AS number, array_agg(name ORDER BY name) FILTER (WHERE row <= $2) AS names
FROM (
    SELECT kind, name, row_number() OVER (PARTITION BY kind ORDER BY name) AS row FROM found
) AS numbered
GROUP BY kind
ORDER BY kind
