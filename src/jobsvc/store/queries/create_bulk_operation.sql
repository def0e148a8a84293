-- Starts a bulk operation, unless its caller, or all callers, have as many running as they may, or
-- there is one with its request id. Returns it.
-- $1 id, $2 service, $3 user, $4 session, $5 the session under former keys, $6 request_id,
-- $7 request digest, $8 filter (JSON), $9 action (JSON), $10 rate, $11 most jobs, $12 most of the
-- caller, $13 most of all
INSERT INTO jobsvc.bulk_operation (
    id, owner_service, owner_user, owner_session, former_sessions, request_id, request_digest,
    wanted, action, rate, most, state, version, done, skipped, create_time, update_time, next_time)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, 1, 0, '{}', now, now, now
FROM (SELECT clock_timestamp() AS now) AS clock
WHERE (
    SELECT count(*) < $13 AND count(*) FILTER (
        WHERE owner_service = $2 AND owner_user = $3 AND owner_session IS NOT DISTINCT FROM $4) < $12
    FROM jobsvc.bulk_operation WHERE end_time IS NULL)
ON CONFLICT (owner_service, request_id) WHERE request_id IS NOT NULL DO NOTHING
RETURNING *
