-- Finds those of the tables that jobs pass through that have enough dead rows to slow down the
-- statements that skip them, and whether this role may vacuum them: PostgreSQL itself only warns.
-- $1 schema
SELECT relname::text AS name, pg_stat_get_dead_tuples(pg_class.oid) AS dead_rows,
    pg_has_role(relowner, 'USAGE')
    OR pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE')
    OR CASE WHEN current_setting('server_version_num')::integer >= 170000
            THEN has_table_privilege(pg_class.oid, 'MAINTAIN')
            ELSE false END
        AS may_vacuum
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1 AND relname IN ('lease', 'waiting')
    AND pg_stat_get_dead_tuples(pg_class.oid)
        > 20000 + pg_stat_get_live_tuples(pg_class.oid) / 10
