-- Stores a JSON Schema and returns its id. Writes nothing if the definition is stored already.
-- $1 digest, $2 definition
WITH stored AS (
    INSERT INTO jobsvc.payload_schema (digest, definition)
    SELECT $1::bytea, $2::text
    WHERE NOT EXISTS (SELECT FROM jobsvc.payload_schema WHERE digest = $1)
    ON CONFLICT (digest) DO NOTHING
    RETURNING id
)
SELECT id FROM stored UNION ALL SELECT id FROM jobsvc.payload_schema WHERE digest = $1
