-- Reads a queue and locks it for a change.
-- $1 name
SELECT queue.*, i.definition AS input_schema, o.definition AS output_schema
FROM jobsvc.queue
LEFT JOIN jobsvc.payload_schema i ON i.id = queue.input_schema_id
LEFT JOIN jobsvc.payload_schema o ON o.id = queue.output_schema_id
WHERE queue.name = $1 FOR UPDATE OF queue
