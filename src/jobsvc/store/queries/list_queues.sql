-- Reads a page of queues, ordered by name: the first, and as many more as keep the bytes of their
-- schemas within a limit. Each has the number of queues that follow a name, as far as counted.
-- $1 name to start after, $2 most queues that are counted, $3 bytes of schemas
WITH named AS MATERIALIZED (
    SELECT queue.*,
        queue.paused AND (queue.pause_end_time <= statement_timestamp()) IS NOT TRUE AS is_paused
    FROM jobsvc.queue WHERE name > $1 ORDER BY name LIMIT $2
),
sized AS MATERIALIZED (
    -- The length of a text is known without reading it.
    SELECT named.*, coalesce(octet_length(i.definition), 0) AS input_bytes,
        coalesce(octet_length(o.definition), 0) AS output_bytes
    FROM named
    LEFT JOIN jobsvc.payload_schema i ON i.id = named.input_schema_id
    LEFT JOIN jobsvc.payload_schema o ON o.id = named.output_schema_id
),
page AS MATERIALIZED (
    SELECT sized.*, count(*) OVER () AS following, row_number() OVER names AS place,
        sum(input_bytes + output_bytes) OVER names AS bytes
    FROM sized WINDOW names AS (ORDER BY name)
)
SELECT page.*, i.definition AS input_schema, o.definition AS output_schema
FROM page
LEFT JOIN jobsvc.payload_schema i ON i.id = page.input_schema_id
LEFT JOIN jobsvc.payload_schema o ON o.id = page.output_schema_id
WHERE bytes <= $3 OR place = 1
ORDER BY page.name
