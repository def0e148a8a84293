-- Which settings of the session are not as wanted. $1 names, $2 values. For the length of the
-- transaction they are as wanted then, so that both are compared in the form that PostgreSQL gives.
WITH found AS MATERIALIZED (
    SELECT name, value, current_setting(name) AS now
    FROM unnest($1::text[], $2::text[]) AS wanted (name, value)
)
SELECT name FROM found WHERE now <> set_config(name, value, true)
