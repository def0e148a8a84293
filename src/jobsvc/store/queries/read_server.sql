-- Reads which server this is, as read_timeline does, but no note of what was seen elsewhere: for a
-- database that may have no table of such notes yet, or a role that may not read it. `has_notes`
-- says whether there is one that it may read.
-- $1 schema
SELECT
    this.system_identifier,
    CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN
        ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)
            )::bit(32)::bigint
    END AS timeline,
    0::bigint AS seen_elsewhere,
    EXISTS (
        SELECT FROM pg_catalog.pg_class
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = $1 AND relname = 'timeline'
            AND pg_catalog.has_schema_privilege(pg_namespace.oid, 'USAGE')
            AND pg_catalog.has_table_privilege(pg_class.oid, 'SELECT')
    ) AS has_notes
FROM pg_catalog.pg_control_system() AS this
