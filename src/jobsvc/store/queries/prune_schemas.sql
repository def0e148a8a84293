-- Removes schemas that nothing refers to, and returns how many. One that no queue has, now or before,
-- is marked first, and goes after a day: callers and replicas that knew the queue still make jobs
-- under it. That no job has it is known when all jobs that were created until then are among the
-- oldest of all, of which so many are read; no index says which jobs have a schema.
-- $1 number of jobs
WITH oldest AS MATERIALIZED (
    SELECT create_time, output_schema_id FROM jobsvc.job ORDER BY id LIMIT $1::integer + 1
),
horizon AS MATERIALIZED (
    SELECT CASE WHEN count(*) > $1 THEN max(create_time) ELSE 'infinity' END AS until FROM oldest
),
in_queues AS MATERIALIZED (
    SELECT input_schema_id AS id FROM jobsvc.queue WHERE input_schema_id IS NOT NULL
    UNION SELECT output_schema_id FROM jobsvc.queue WHERE output_schema_id IS NOT NULL
    UNION SELECT schema_id FROM jobsvc.replaced_schema
),
seen AS MATERIALIZED (
    SELECT id, unused_since, id IN (SELECT id FROM in_queues) AS is_used
    FROM jobsvc.payload_schema
),
changed AS MATERIALIZED (
    SELECT id FROM jobsvc.payload_schema
    WHERE id = ANY (ARRAY(SELECT id FROM seen WHERE is_used = (unused_since IS NOT NULL)))
    ORDER BY id FOR UPDATE SKIP LOCKED
),
marked AS (
    UPDATE jobsvc.payload_schema
    SET unused_since = CASE WHEN unused_since IS NULL THEN statement_timestamp() END
    WHERE id = ANY (ARRAY(SELECT id FROM changed))
),
unused AS MATERIALIZED (
    SELECT id FROM jobsvc.payload_schema
    WHERE id = ANY (ARRAY(
            SELECT id FROM seen
            WHERE NOT is_used AND unused_since < statement_timestamp() - interval '1 day'
                AND unused_since + interval '1 day' < (SELECT until FROM horizon)
                AND id NOT IN (
                    SELECT output_schema_id FROM oldest WHERE output_schema_id IS NOT NULL
                )
        ))
        -- Again: a queue may just have taken it.
        AND unused_since IS NOT NULL
    ORDER BY id FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM jobsvc.payload_schema WHERE id = ANY (ARRAY(SELECT id FROM unused)) RETURNING id
)
SELECT count(*) FROM gone
