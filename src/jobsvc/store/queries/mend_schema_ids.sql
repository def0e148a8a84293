-- Makes the sequence of schema ids go on behind the largest id, if it is behind that one, as after a
-- logical copy, which brings no sequences. Returns the id then. Does nothing where it may not.
-- $1 schema
SELECT pg_catalog.setval(sequence, largest) AS id
FROM (
    SELECT pg_class.oid::regclass AS sequence, (SELECT max(id) FROM jobsvc.payload_schema) AS largest
    FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = $1 AND relname = 'payload_schema_id_seq'
        AND pg_catalog.current_setting('transaction_read_only') = 'off'
) AS ids
WHERE CASE WHEN has_sequence_privilege(sequence, 'SELECT') AND has_sequence_privilege(sequence, 'UPDATE')
    THEN coalesce(pg_catalog.pg_sequence_last_value(sequence), 0) < largest ELSE false END
