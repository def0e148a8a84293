-- Finds those of the tables that jobs pass through that have enough dead rows to slow down the
-- statements that skip them.
SELECT name
FROM unnest(ARRAY['lease', 'waiting']) AS name
WHERE pg_stat_get_dead_tuples(name::regclass)
    > 20000 + pg_stat_get_live_tuples(name::regclass) / 10
