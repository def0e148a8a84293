-- Records an API key.
-- $1 id, $2 name, $3 digest of the secret, $4 roles, $5 queues, $6 how long it is valid in seconds
-- (NULL for ever)
INSERT INTO jobsvc.api_key (id, name, digest, roles, queues, create_time, expire_time)
VALUES (
    $1, $2, $3, $4, $5, statement_timestamp(),
    statement_timestamp() + $6::float8 * interval '1 second')
