-- One waiting job in eight, drawn by the hash of its id, in the order of the hashes: count_jobs
-- estimates the number of jobs in a queue from the first two thousand.
CREATE INDEX waiting_sample ON waiting (queue, uuid_hash(job_id)) INCLUDE (job_id, run_at)
    WHERE uuid_hash(job_id) < -1610612736;
