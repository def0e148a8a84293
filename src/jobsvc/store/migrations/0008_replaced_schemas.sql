-- Schemas that a queue has had and replaced: a worker that declares one of them is older than the
-- queue. One that the queue takes back leaves this table, and so do those that were replaced later.
CREATE TABLE replaced_schema (
    queue        text NOT NULL,
    field        text NOT NULL,            -- input_schema or output_schema
    schema_id    bigint NOT NULL,
    replace_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (queue, field, schema_id)
);
