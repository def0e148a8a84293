-- Code from 0006_emptied_jobs on runs on this.
-- The oldest migration whose code runs on the schema that a migration leaves, as its file says from
-- this one on. Code that is older refuses to serve, and code that a migration does not speak of, too.
ALTER TABLE schema_migration ADD COLUMN runs_from text;
