-- Records that what this start of the server found of before was looked at.
-- $1 schema
WITH former AS (
    DELETE FROM jobsvc.restore_check
    WHERE table_oid NOT IN (
        SELECT pg_class.oid::bigint FROM pg_catalog.pg_class
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = $1 AND relname = 'lease')
)
INSERT INTO jobsvc.restore_check (table_oid, server_start_time, check_time)
SELECT pg_class.oid::bigint, pg_catalog.pg_postmaster_start_time(), clock_timestamp()
FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1 AND relname = 'lease'
ON CONFLICT (table_oid) DO UPDATE
SET server_start_time = excluded.server_start_time, check_time = excluded.check_time
