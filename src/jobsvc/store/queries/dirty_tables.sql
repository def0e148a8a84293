-- Which of the tables that jobs go through have so many dead rows that it shows in the statements
-- that walk past them.
SELECT name
FROM unnest(ARRAY['lease', 'waiting']) AS name
WHERE pg_stat_get_dead_tuples(name::regclass)
    > 20000 + pg_stat_get_live_tuples(name::regclass) / 10
