-- Stores a JSON Schema and returns its id. Writes nothing if the definition is stored already, unless
-- it was marked as unused. Returns nothing if others do the same, or remove it, at the same time, or
-- if another schema has the id, as after a copy of the tables without their sequence: the next try
-- takes the next id.
-- $1 digest, $2 definition
WITH stored AS (
    INSERT INTO jobsvc.payload_schema (digest, definition)
    SELECT $1::bytea, $2::text
    WHERE NOT EXISTS (SELECT FROM jobsvc.payload_schema WHERE digest = $1)
    ON CONFLICT DO NOTHING
    RETURNING id
),
unmarked AS (
    UPDATE jobsvc.payload_schema SET unused_since = NULL
    WHERE digest = $1 AND unused_since IS NOT NULL
    RETURNING id
)
SELECT id FROM stored
UNION ALL SELECT id FROM unmarked
UNION ALL SELECT id FROM jobsvc.payload_schema WHERE digest = $1 AND unused_since IS NULL
