-- Reads size, rows and vacuums of each of our tables, and the size of their indexes, from what
-- PostgreSQL has counted.
-- $1 schema
SELECT
    this.relname::text AS name,
    of.relname::text AS index_of,
    pg_relation_size(this.oid) AS bytes,
    -- Counts are lost in a crash. Then there is what the last vacuum found.
    greatest(
        pg_stat_get_live_tuples(counted.id), (SELECT reltuples FROM pg_class WHERE oid = counted.id)
    )::bigint AS live_rows,
    pg_stat_get_dead_tuples(counted.id) AS dead_rows,
    extract(epoch FROM clock_timestamp() - greatest(
        pg_stat_get_last_vacuum_time(counted.id), pg_stat_get_last_autovacuum_time(counted.id)
    ))::float8 AS vacuum_seconds,
    EXISTS (
        SELECT FROM pg_options_to_table(this.reloptions)
        WHERE option_name = 'autovacuum_enabled' AND NOT option_value::boolean
    ) AS autovacuum_off
FROM pg_class AS this
JOIN pg_namespace ON pg_namespace.oid = this.relnamespace
LEFT JOIN pg_index ON indexrelid = this.oid
LEFT JOIN pg_class AS of ON of.oid = indrelid
CROSS JOIN LATERAL (SELECT coalesce(of.oid, this.oid) AS id) AS counted
WHERE nspname = $1 AND this.relkind IN ('r', 'i')
ORDER BY bytes DESC, name
