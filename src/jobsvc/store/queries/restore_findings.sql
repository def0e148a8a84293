-- Reads what a database that was restored has of before. Changes nothing. While servers are
-- connected, only what began before PostgreSQL was started is surely of before.
-- $1 schema, $2 names of the sessions of servers
SELECT
    pg_catalog.current_database()::text AS database,
    pg_catalog.pg_postmaster_start_time() AS server_start_time,
    (
        SELECT done.check_time FROM jobsvc.restore_check AS done
        WHERE done.table_oid = this.table_oid
            AND done.server_start_time = pg_catalog.pg_postmaster_start_time()
    ) AS check_time,
    serving.sessions,
    (SELECT create_time FROM jobsvc.job ORDER BY id DESC LIMIT 1) AS newest_job_time,
    leased.leases,
    leased.cancelled_leases,
    leased.later_leases,
    (SELECT count(*) FROM jobsvc.waiting) AS waiting,
    (SELECT count(*) FROM jobsvc.result WHERE state <> 3 AND emptied_time IS NULL) AS unsuccessful,
    (
        SELECT count(*) FROM jobsvc.waiting
        WHERE least(expire_time, start_deadline) <= statement_timestamp()
    ) AS overdue,
    (
        SELECT count(*) FROM jobsvc.result
        WHERE purge_time <= statement_timestamp() AND emptied_time IS NULL
    ) AS purgeable,
    (SELECT count(*) FROM jobsvc.worker) + (SELECT count(*) FROM jobsvc.worker_stream) AS presences,
    coalesce((SELECT max(id) FROM jobsvc.payload_schema), 0) AS largest_schema_id,
    (SELECT last_value FROM jobsvc.payload_schema_id_seq) AS last_schema_id,
    EXISTS (SELECT FROM jobsvc.secret WHERE name = 'session_key') AS has_session_key
FROM (
    SELECT pg_class.oid::bigint AS table_oid
    FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = $1 AND relname = 'lease'
) AS this
CROSS JOIN LATERAL (
    SELECT count(*) AS sessions FROM pg_catalog.pg_stat_activity
    WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid()
        AND application_name = ANY ($2::text[])
) AS serving
CROSS JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE of_before AND cancel_request_time IS NULL) AS leases,
        count(*) FILTER (WHERE of_before AND cancel_request_time IS NOT NULL) AS cancelled_leases,
        count(*) FILTER (WHERE NOT of_before) AS later_leases
    FROM (
        SELECT
            cancel_request_time,
            serving.sessions = 0 OR start_time < pg_catalog.pg_postmaster_start_time() AS of_before
        FROM jobsvc.lease
    ) AS lease
) AS leased
