-- Claims the bulk operation that is due first, until the end of the transaction. Returns one row:
-- the operation, NULLs if none is due or others have them; the time; how many jobs were created and
-- leased since the database was started, as far as it has counted; how many operations run, and the
-- seconds until the first of them is due.
-- $1 schema
WITH due AS MATERIALIZED (
    SELECT * FROM jobsvc.bulk_operation
    WHERE end_time IS NULL AND next_time <= clock_timestamp()
    ORDER BY next_time LIMIT 1 FOR UPDATE SKIP LOCKED
)
SELECT due.*, clock.now, running.count AS running,
    extract(epoch FROM running.next_time - clock.now)::float8 AS due_seconds,
    counted.created, counted.leased
FROM (SELECT clock_timestamp() AS now) AS clock
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(pg_stat_get_tuples_inserted(pg_class.oid))
            FILTER (WHERE relname = 'job'), 0)::bigint AS created,
        coalesce(sum(pg_stat_get_tuples_inserted(pg_class.oid))
            FILTER (WHERE relname = 'lease'), 0)::bigint AS leased
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = $1 AND relname IN ('job', 'lease')
) AS counted
CROSS JOIN LATERAL (
    SELECT count(*) AS count, min(next_time) AS next_time
    FROM jobsvc.bulk_operation WHERE end_time IS NULL
) AS running
LEFT JOIN due ON true
