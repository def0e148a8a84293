-- Reads what of a server, and of a session of this role, jobs depend on.
-- $1 name of the sessions that listen for servers (NULL if that is not known)
SELECT
    pg_is_in_recovery() AS is_standby,
    current_setting('default_transaction_read_only')::boolean AS is_read_only,
    current_setting('fsync')::boolean AS fsync,
    current_setting('full_page_writes')::boolean AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('autovacuum')::boolean AS autovacuum,
    current_setting('track_counts')::boolean AS track_counts,
    (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database())
        AS transaction_ids,
    pg_notification_queue_usage() AS notifications,
    -- Of all roles, whatever this one may see of their sessions.
    (SELECT sum(numbackends) FROM pg_stat_database)::integer AS connections,
    current_setting('max_connections')::integer
        - current_setting('superuser_reserved_connections')::integer
        - coalesce(current_setting('reserved_connections', true), '0')::integer
        AS max_connections,
    (
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = $1::text
        HAVING $1 IS NOT NULL
    ) AS servers,
    current_setting('idle_session_timeout')::interval AS idle_session_timeout,
    -- Since PostgreSQL 17.
    coalesce(current_setting('transaction_timeout', true), '0')::interval AS transaction_timeout
