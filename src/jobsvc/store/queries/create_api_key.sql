-- Records an API key, and in the audit which role of the database made it.
-- $1 id, $2 name, $3 digest of the secret, $4 roles, $5 queues, $6 how long it is valid in seconds
-- (NULL for ever)
WITH made AS (
    INSERT INTO jobsvc.api_key (id, name, digest, roles, queues, create_time, expire_time)
    VALUES (
        $1, $2, $3, $4, $5, statement_timestamp(),
        statement_timestamp() + $6::float8 * interval '1 second')
    RETURNING id
)
INSERT INTO jobsvc.audit_entry (
    id, time, identity, user_id, peer, method, target, outcome, trace_id, calls)
SELECT gen_random_uuid(), statement_timestamp(), 'database:' || session_user, '',
    coalesce('ipv' || family(inet_client_addr()) || ':' || host(inet_client_addr()), 'unix'),
    'CreateKey', made.id, 'OK', '', 1
FROM made
