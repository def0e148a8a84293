-- Makes the table of the migrations that were applied.
CREATE TABLE jobsvc.schema_migration (
    name       text PRIMARY KEY,
    apply_time timestamptz NOT NULL DEFAULT clock_timestamp()
)
