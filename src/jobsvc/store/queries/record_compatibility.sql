-- Notes the oldest migration whose code runs on the schema that a migration leaves.
-- $1 name, $2 that migration
UPDATE jobsvc.schema_migration SET runs_from = $2 WHERE name = $1
