-- Writes the policy of a queue that this transaction has locked.
-- $1 name, $2 input_schema_id, $3 output_schema_id, $4 lease_duration, $5 max_waiting, and from
-- $6 on the fields of RunPolicy: max_attempts, $7 initial_backoff, $8 max_backoff,
-- $9 backoff_multiplier, $10 attempt_timeout, $11 retention, $12 start_within
UPDATE jobsvc.queue SET
    input_schema_id = $2, output_schema_id = $3, lease_duration = $4, max_waiting = $5,
    max_attempts = $6, initial_backoff = $7, max_backoff = $8, backoff_multiplier = $9,
    attempt_timeout = $10, retention = $11, start_within = $12, update_time = clock_timestamp(), revision = revision + 1
WHERE name = $1
