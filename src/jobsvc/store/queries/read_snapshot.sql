-- Reads what statements that begin now can see: all transactions before `oldest_open`. All that have
-- begun have a number below `number`, which is that of this one: the xmax of a snapshot says less,
-- being the number after the last transaction that has ended.
SELECT
    statement_timestamp() AS time,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_open,
    pg_current_xact_id()::text::bigint AS number
