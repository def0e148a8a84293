-- PostgreSQL's counters: transactions that wrote or notified (each takes one number), bytes of WAL,
-- and statements in one database, without those of the observer.
-- $1 database, $2 observer
SELECT
    pg_snapshot_xmax(pg_current_snapshot())::text::float8 AS commits,
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS wal_bytes,
    (
        SELECT coalesce(sum(calls), 0)::float8
        FROM pg_stat_statements
        WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1)
            AND userid <> (SELECT oid FROM pg_roles WHERE rolname = $2)
    ) AS statements
