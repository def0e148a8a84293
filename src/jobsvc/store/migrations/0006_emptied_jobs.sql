-- When a job was emptied: its retention was over, and what is left of it answers repetitions of its
-- creation. For readers it does not exist. NULL for all other jobs.
ALTER TABLE result ADD COLUMN emptied_time timestamptz;
-- The end of a lease no longer depends on whether its job has a request id, and never did on the
-- count of redeliveries. Code from before this does not run on this schema: see 0005.
DROP VIEW lease_terms;
CREATE VIEW lease_terms AS
SELECT
    lease.job_id, lease.lease_id, lease.queue, lease.worker_id, lease.attempt,
    lease.until, lease.deadline, lease.expire_time,
    lease.cancel_request_time IS NOT NULL AS cancel_requested,
    job.max_attempts, job.initial_backoff, job.max_backoff, job.backoff_multiplier,
    job.retention, job.output_schema_id, job.traceparent, job.tracestate
FROM lease JOIN job ON job.id = lease.job_id;
