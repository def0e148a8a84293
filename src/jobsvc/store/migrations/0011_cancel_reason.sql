-- Code from 0006_emptied_jobs on runs on this.
-- Why the cancellation of a job that has ended was requested; NULL if it was not, or without words.
ALTER TABLE result ADD COLUMN cancel_reason text;
-- Retries by callers grant attempts on top of those made, beyond what a creation may ask for. Old
-- rows fit, and are not read to know it.
ALTER TABLE job DROP CONSTRAINT job_max_attempts_check;
ALTER TABLE job ADD CONSTRAINT job_max_attempts_check CHECK (max_attempts >= 1) NOT VALID;
