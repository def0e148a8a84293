-- Describes a schema, if it exists: its relations by the names that ours have, the columns of its
-- schema_migration, and whether this role may read that.
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
    ) AS columns,
    has_schema_privilege(oid, 'USAGE') AND coalesce((
        SELECT has_table_privilege(pg_class.oid, 'SELECT') FROM pg_class
        WHERE relnamespace = pg_namespace.oid AND relname = 'schema_migration'
    ), true) AS readable
FROM pg_namespace WHERE nspname = $1
