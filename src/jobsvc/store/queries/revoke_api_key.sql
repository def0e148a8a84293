-- Revokes an API key for good. Returns its name if there is such a key.
-- $1 id
UPDATE jobsvc.api_key SET revoke_time = coalesce(revoke_time, statement_timestamp())
WHERE id = $1
RETURNING name
