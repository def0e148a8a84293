-- Keeps a JSON Schema; the same definition is kept once. Writes nothing where it is known.
-- $1 digest, $2 definition
WITH made AS (
    INSERT INTO payload_schema (digest, definition)
    SELECT $1::bytea, $2::text WHERE NOT EXISTS (SELECT FROM payload_schema WHERE digest = $1)
    ON CONFLICT (digest) DO NOTHING
    RETURNING id
)
SELECT id FROM made UNION ALL SELECT id FROM payload_schema WHERE digest = $1
