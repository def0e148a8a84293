-- Says which of these schemas a queue has had and replaced.
-- $1 queue, $2 digest of an input schema, $3 digest of an output schema; NULL for none
SELECT replaced_schema.field
FROM jobsvc.replaced_schema
JOIN jobsvc.payload_schema ON payload_schema.id = replaced_schema.schema_id
WHERE replaced_schema.queue = $1
    AND (replaced_schema.field, payload_schema.digest)
        IN (('input_schema', $2::bytea), ('output_schema', $3::bytea))
