-- Starts a bulk operation, unless its caller, or all callers, have as many running as they may, or
-- there is one with its request id. Returns it.
-- $1 id, $2 service, $3 user, $4 session, $5 request_id, $6 request digest, $7 filter (JSON),
-- $8 action (JSON), $9 rate, $10 most jobs, $11 most of the caller, $12 most of all
INSERT INTO jobsvc.bulk_operation (
    id, owner_service, owner_user, owner_session, request_id, request_digest, wanted, action, rate,
    most, state, version, done, skipped, create_time, update_time, next_time)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, 1, 0, '{}', now, now, now
FROM (SELECT clock_timestamp() AS now) AS clock
WHERE (
    SELECT count(*) < $12 AND count(*) FILTER (
        WHERE owner_service = $2 AND owner_user = $3 AND owner_session IS NOT DISTINCT FROM $4) < $11
    FROM jobsvc.bulk_operation WHERE end_time IS NULL)
ON CONFLICT (owner_service, request_id) WHERE request_id IS NOT NULL DO NOTHING
RETURNING *
