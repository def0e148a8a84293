-- The job's position in its queue: a job that was never sent goes back there.
ALTER TABLE lease ADD COLUMN run_at timestamptz NOT NULL DEFAULT clock_timestamp();
