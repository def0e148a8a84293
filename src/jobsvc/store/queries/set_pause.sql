-- Pauses a queue that this transaction has locked, or resumes it.
-- $1 name, $2 paused, $3 reason, $4 end time (NULL for none)
UPDATE jobsvc.queue SET
    paused = $2, pause_reason = $3, pause_end_time = $4,
    update_time = clock_timestamp(), revision = revision + 1
WHERE name = $1
