-- Reads the API keys that may be used.
SELECT id, name, digest, roles, queues, create_time, expire_time, revoke_time, last_use_time
FROM jobsvc.api_key
WHERE revoke_time IS NULL AND (expire_time IS NULL OR expire_time > statement_timestamp())
