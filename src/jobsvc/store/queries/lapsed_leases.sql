-- Leases whose worker has stopped extending, or whose attempt has run out of time, oldest first.
-- $1 most rows
SELECT terms.*, clock_timestamp() AS read_time
FROM lease_terms AS terms
WHERE least(until, deadline) <= statement_timestamp()
ORDER BY until
LIMIT $1
