-- Returns what a role needs to serve: each right, whether the role has it, and the statement that
-- gives it. VACUUM needs MAINTAIN, which PostgreSQL has since 17; before, only an owner may do it.
-- $1 schema, $2 role
WITH needed (relation, privileges) AS (
    VALUES
        ('api_key', '{SELECT,UPDATE}'::text[]),
        ('attempt', '{SELECT,INSERT,DELETE}'),
        ('audit_entry', '{SELECT,INSERT,DELETE}'),
        ('bulk_operation', '{SELECT,INSERT,UPDATE,DELETE}'),
        ('drained_worker', '{SELECT,INSERT,DELETE}'),
        ('held_key', '{SELECT,INSERT,DELETE}'),
        ('job', '{SELECT,INSERT,UPDATE,DELETE}'),
        ('lease', '{SELECT,INSERT,UPDATE,DELETE,MAINTAIN}'),
        ('lease_terms', '{SELECT}'),
        ('payload_schema', '{SELECT,INSERT,UPDATE,DELETE}'),
        ('queue', '{SELECT,INSERT,UPDATE,DELETE}'),
        ('queue_minute', '{SELECT,INSERT,UPDATE,DELETE}'),
        ('replaced_schema', '{SELECT,INSERT,DELETE}'),
        ('result', '{SELECT,INSERT,UPDATE,DELETE}'),
        ('schema_migration', '{SELECT}'),
        ('secret', '{SELECT}'),
        ('timeline', '{SELECT,INSERT,UPDATE}'),
        ('waiting', '{SELECT,INSERT,UPDATE,DELETE,MAINTAIN}'),
        ('worker', '{SELECT,INSERT,UPDATE,DELETE}'),
        ('worker_stream', '{SELECT,INSERT,UPDATE,DELETE}')
)
SELECT
    format('USAGE on the schema %I', nspname) AS name,
    has_schema_privilege($2::name, oid, 'USAGE') AS granted,
    format('GRANT USAGE ON SCHEMA %I TO %I', nspname, $2::name) AS statement
FROM pg_namespace WHERE nspname = $1
UNION ALL
SELECT
    format('%s on %I.%I', privilege, nspname, relname),
    has_table_privilege($2::name, pg_class.oid, privilege),
    format('GRANT %s ON %I.%I TO %I', privilege, nspname, relname, $2::name)
FROM needed
CROSS JOIN LATERAL unnest(privileges) AS privilege
JOIN pg_class ON relname = relation
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1
    AND (privilege <> 'MAINTAIN' OR current_setting('server_version_num')::integer >= 170000)
ORDER BY name
