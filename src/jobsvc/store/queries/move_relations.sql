-- Returns the statements that move relations from one schema to another.
-- $1 schema, $2 the other, $3 names
SELECT format('ALTER TABLE %I.%I SET SCHEMA %I', $1::text, relname, $2::text) AS statement
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1 AND relname = ANY ($3::text[]) AND relkind IN ('r', 'v', 'S')
ORDER BY relname
