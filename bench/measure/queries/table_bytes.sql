-- The tables of the service that are not empty: bytes with TOAST, bytes of the indexes, rows as
-- of the last vacuum.
SELECT relname AS name, pg_table_size(oid) AS table_bytes, pg_indexes_size(oid) AS index_bytes,
    greatest(reltuples, 0)::bigint AS rows
FROM pg_class
WHERE relnamespace = 'jobsvc'::regnamespace AND relkind = 'r' AND pg_table_size(oid) > 0
ORDER BY pg_total_relation_size(oid) DESC, relname
