-- Reads a secret by name.
-- $1 name
SELECT value FROM secret WHERE name = $1
