-- Finds who holds the horizon, that is, keeps dead rows of this database from being removed: a
-- session (that of a standby with feedback included), a prepared transaction or a replication slot;
-- the oldest one. Of sessions of other roles only a member of pg_read_all_stats sees enough. A
-- vacuum holds nothing itself, nor does the catalog_xmin of a slot: that is for PostgreSQL's tables.
SELECT kind, pid, name, role, state, seconds, xid
FROM (
    SELECT
        CASE WHEN backend_type = 'walsender' THEN 'standby' ELSE 'session' END AS kind,
        pid, application_name AS name, usename::text AS role, state,
        -- Of a standby this would be the age of its connection: its transactions are not here.
        CASE WHEN backend_type <> 'walsender'
            THEN extract(epoch FROM clock_timestamp() - xact_start)::float8 END AS seconds,
        greatest(age(backend_xid), age(backend_xmin)) AS xid_age,
        CASE WHEN age(backend_xid) > age(backend_xmin) OR backend_xmin IS NULL
            THEN backend_xid ELSE backend_xmin END::text AS xid
    FROM pg_stat_activity
    WHERE (datname = current_database() OR backend_type = 'walsender')
        AND coalesce(backend_xid, backend_xmin) IS NOT NULL
        AND pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum UNION ALL SELECT pg_backend_pid())
    UNION ALL
    SELECT
        'prepared', NULL, gid, owner::text, NULL,
        extract(epoch FROM clock_timestamp() - prepared)::float8, age(transaction),
        transaction::text
    FROM pg_prepared_xacts
    WHERE database = current_database()
    UNION ALL
    SELECT 'slot', active_pid, slot_name::text, NULL, slot_type, NULL, age(xmin), xmin::text
    FROM pg_replication_slots
    WHERE xmin IS NOT NULL
) AS holder
-- Who waits behind another has the same age: the one who began first is the cause.
ORDER BY xid_age DESC, seconds DESC NULLS LAST
LIMIT 1
