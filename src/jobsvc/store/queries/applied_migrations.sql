-- Reads the names of the migrations that were applied.
SELECT name FROM jobsvc.schema_migration
