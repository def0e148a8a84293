-- Notes that a migration was applied.
-- $1 name
INSERT INTO jobsvc.schema_migration (name) VALUES ($1)
