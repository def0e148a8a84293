-- Reads which server this is: its system identifier, its timeline (NULL on a standby), and the
-- highest one that replicas have seen elsewhere (0 if none).
SELECT
    this.system_identifier,
    CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN
        -- The name of a file of WAL begins with it. pg_control_checkpoint() lags a promotion.
        ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)
            )::bit(32)::bigint
    END AS timeline,
    coalesce((
        SELECT seen.timeline FROM jobsvc.timeline AS seen
        WHERE seen.system_identifier = this.system_identifier
    ), 0) AS seen_elsewhere
FROM pg_catalog.pg_control_system() AS this
