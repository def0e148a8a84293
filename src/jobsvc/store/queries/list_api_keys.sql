-- Reads all API keys, those that are revoked and have expired too.
SELECT id, name, digest, roles, queues, create_time, expire_time, revoke_time, last_use_time
FROM jobsvc.api_key
ORDER BY name, create_time, id
