-- Where the job stood in its queue: a lease that was never sent goes back there.
ALTER TABLE lease ADD COLUMN run_at timestamptz NOT NULL DEFAULT clock_timestamp();
