-- Finds sessions that wait for a lock on one of our tables, and who is before them; the longest
-- wait comes first.
-- $1 schema, $2 seconds that they have waited
SELECT
    pid, relname::text AS table,
    extract(epoch FROM clock_timestamp() - waitstart)::float8 AS seconds,
    pg_blocking_pids(pid) AS blockers
FROM pg_locks
JOIN pg_class ON pg_class.oid = relation
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1 AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND waitstart < clock_timestamp() - $2::float8 * interval '1 second'
ORDER BY waitstart
LIMIT 100
