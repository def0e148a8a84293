-- Reads how much WAL each replication slot keeps.
SELECT
    slot_name::text AS name, active,
    pg_wal_lsn_diff(
        CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
        restart_lsn
    )::bigint AS bytes
FROM pg_replication_slots
WHERE restart_lsn IS NOT NULL
ORDER BY bytes DESC
LIMIT 100
