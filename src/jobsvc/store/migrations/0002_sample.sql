-- One waiting job in eight, drawn by the hash of its id, in the order of the draw: from the first
-- two thousand of a queue count_jobs tells how many there are.
CREATE INDEX waiting_sample ON waiting (queue, uuid_hash(job_id)) INCLUDE (job_id, run_at)
    WHERE uuid_hash(job_id) < -1610612736;
