-- Describes a schema, if it exists: its relations by the names that ours have, and the columns of
-- its schema_migration if this role may read that.
-- $1 schema, $2 names
SELECT
    ARRAY(
        SELECT relname::text FROM pg_class
        WHERE relnamespace = pg_namespace.oid AND relname = ANY ($2::text[])
    ) AS relations,
    ARRAY(
        SELECT attname::text
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relnamespace = pg_namespace.oid AND relname = 'schema_migration'
            AND attnum > 0 AND NOT attisdropped
            AND has_schema_privilege(pg_namespace.oid, 'USAGE')
            AND has_table_privilege(pg_class.oid, 'SELECT')
    ) AS columns
FROM pg_namespace WHERE nspname = $1
