-- Revokes an API key for good, and notes in the audit which role of the database did it. Returns its
-- name if there is such a key.
-- $1 id
WITH revoked AS (
    UPDATE jobsvc.api_key SET revoke_time = coalesce(revoke_time, statement_timestamp())
    WHERE id = $1
    RETURNING id, name
), noted AS (
    INSERT INTO jobsvc.audit_entry (
        id, time, identity, user_id, peer, method, target, outcome, trace_id, calls)
    SELECT gen_random_uuid(), statement_timestamp(), 'database:' || session_user, '',
        coalesce('ipv' || family(inet_client_addr()) || ':' || host(inet_client_addr()), 'unix'),
        'RevokeKey', revoked.id, 'OK', '', 1
    FROM revoked
)
SELECT name FROM revoked
