-- Finds those of the tables that jobs pass through that have enough dead rows to slow down the
-- statements that skip them.
-- $1 schema
SELECT name
FROM unnest(ARRAY['lease', 'waiting']) AS name
CROSS JOIN LATERAL (SELECT format('%I.%I', $1::text, name)::regclass AS id) AS relation
WHERE pg_stat_get_dead_tuples(id) > 20000 + pg_stat_get_live_tuples(id) / 10
