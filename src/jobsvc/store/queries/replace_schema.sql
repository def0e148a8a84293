-- Notes that a queue has replaced a schema by another. One that it has had before is taken back:
-- those that came after it are forgotten, and may come again. So are all but the last fifty.
-- $1 queue, $2 field, $3 schema_id before, $4 schema_id now; NULL for none
WITH had AS (
    SELECT replace_time FROM jobsvc.replaced_schema
    WHERE queue = $1 AND field = $2 AND schema_id = $4
),
forgotten AS (
    DELETE FROM jobsvc.replaced_schema USING had
    WHERE queue = $1 AND field = $2 AND replaced_schema.replace_time >= had.replace_time
),
outdated AS (
    DELETE FROM jobsvc.replaced_schema
    WHERE queue = $1 AND field = $2 AND schema_id = ANY (ARRAY(
            SELECT schema_id FROM jobsvc.replaced_schema
            WHERE queue = $1 AND field = $2
            ORDER BY replace_time DESC OFFSET 49
        ))
)
INSERT INTO jobsvc.replaced_schema (queue, field, schema_id)
SELECT $1::text, $2::text, $3::bigint WHERE $3 IS NOT NULL AND NOT EXISTS (SELECT FROM had)
ON CONFLICT (queue, field, schema_id) DO NOTHING
