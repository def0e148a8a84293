-- Reads the migrations that were applied, and of each the oldest one whose code runs on it; NULL if
-- it says none.
SELECT name, to_jsonb(schema_migration) ->> 'runs_from' AS runs_from FROM jobsvc.schema_migration
