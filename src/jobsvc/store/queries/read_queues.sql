-- Reads queues by name.
-- $1 name, $2 with schemas
SELECT queue.*,
    queue.paused AND (queue.pause_end_time <= statement_timestamp()) IS NOT TRUE AS is_paused,
    i.definition AS input_schema, o.definition AS output_schema
FROM jobsvc.queue
LEFT JOIN jobsvc.payload_schema i ON i.id = queue.input_schema_id AND $2::boolean
LEFT JOIN jobsvc.payload_schema o ON o.id = queue.output_schema_id AND $2
WHERE queue.name = ANY ($1::text[])
