-- Reads which server this is, as read_timeline does, but no note of what was seen elsewhere: for a
-- database that has no table of such notes yet, or a role that may not read it.
SELECT
    this.system_identifier,
    CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN
        ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)
            )::bit(32)::bigint
    END AS timeline,
    0::bigint AS seen_elsewhere
FROM pg_catalog.pg_control_system() AS this
