-- How often statements have read jobs as they are.
SELECT coalesce(sum(calls), 0)::float8 AS reads
FROM pg_stat_statements
WHERE query LIKE '%.job%' AND query LIKE '%AS read_time%'
