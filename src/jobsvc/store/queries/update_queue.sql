-- Writes the policy of a queue that this transaction has locked.
-- $1 name, $2 input_schema_id, $3 output_schema_id, $4 lease_duration, and from $5 on the fields of
-- RunPolicy: max_attempts, $6 initial_backoff, $7 max_backoff, $8 backoff_multiplier,
-- $9 attempt_timeout, $10 retention, $11 start_within
UPDATE jobsvc.queue SET
    input_schema_id = $2, output_schema_id = $3, lease_duration = $4, max_attempts = $5,
    initial_backoff = $6, max_backoff = $7, backoff_multiplier = $8, attempt_timeout = $9,
    retention = $10, start_within = $11, update_time = clock_timestamp(), revision = revision + 1
WHERE name = $1
