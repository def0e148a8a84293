-- Reads a JSON Schema by id.
-- $1 id
SELECT definition FROM jobsvc.payload_schema WHERE id = $1
