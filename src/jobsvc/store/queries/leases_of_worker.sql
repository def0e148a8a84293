-- The leases that a worker holds.
-- $1 worker_id
SELECT * FROM lease_terms WHERE worker_id = $1
