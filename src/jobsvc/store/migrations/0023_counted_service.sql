-- Code from 0006_emptied_jobs on runs on this.
-- The service of a job, where the policy says how many of its jobs may wait: they are counted by it.
-- Jobs of other services have none, and cost nothing.
ALTER TABLE waiting ADD COLUMN counted_service text;
ALTER TABLE lease ADD COLUMN counted_service text;
CREATE INDEX waiting_counted ON waiting (counted_service) WHERE counted_service IS NOT NULL;
