-- How long a job may wait for its first attempt; NULL for as long as it takes.
ALTER TABLE queue ADD COLUMN start_within float8;
ALTER TABLE job ADD COLUMN start_within float8;
-- Time at which a job that still waits for its first attempt fails. NULL once an attempt is used. A
-- lease keeps it for the case that it ends without using the attempt.
ALTER TABLE waiting ADD COLUMN start_deadline timestamptz;
ALTER TABLE lease ADD COLUMN start_deadline timestamptz;
-- Costs jobs without a deadline nothing.
CREATE INDEX waiting_start_deadline ON waiting (start_deadline) WHERE start_deadline IS NOT NULL;
