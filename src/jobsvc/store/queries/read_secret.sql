-- Reads a secret by name.
-- $1 name
SELECT value FROM jobsvc.secret WHERE name = $1
