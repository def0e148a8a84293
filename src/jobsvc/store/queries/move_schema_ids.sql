-- Makes the sequence of schema ids go on behind an id.
-- $1 schema, $2 id
SELECT pg_catalog.setval(pg_class.oid::regclass, $2)
FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1 AND relname = 'payload_schema_id_seq'
