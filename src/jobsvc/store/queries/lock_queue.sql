-- Reads a queue and locks it for a change; jobs may be created in it meanwhile.
-- $1 name
SELECT queue.*,
    queue.paused AND (queue.pause_end_time <= statement_timestamp()) IS NOT TRUE AS is_paused,
    clock_timestamp() AS read_time, i.definition AS input_schema, o.definition AS output_schema
FROM jobsvc.queue
LEFT JOIN jobsvc.payload_schema i ON i.id = queue.input_schema_id
LEFT JOIN jobsvc.payload_schema o ON o.id = queue.output_schema_id
WHERE queue.name = $1 FOR NO KEY UPDATE OF queue
