-- Reads queues by name.
-- $1 name
SELECT queue.*, i.definition AS input_schema, o.definition AS output_schema
FROM queue
LEFT JOIN payload_schema i ON i.id = queue.input_schema_id
LEFT JOIN payload_schema o ON o.id = queue.output_schema_id
WHERE queue.name = ANY ($1::text[])
