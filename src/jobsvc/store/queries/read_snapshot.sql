-- Reads what statements that begin now can see: all transactions before xmin, none from xmax on.
SELECT
    statement_timestamp() AS time,
    pg_snapshot_xmin(snapshot)::text::bigint AS xmin,
    pg_snapshot_xmax(snapshot)::text::bigint AS xmax
FROM pg_current_snapshot() AS snapshot
