-- Forgets all workers and their streams, which a dump may have brought along, and returns how many
-- rows there were. Servers write those that there are again within seconds.
WITH workers AS (
    DELETE FROM jobsvc.worker RETURNING 1
),
streams AS (
    DELETE FROM jobsvc.worker_stream RETURNING 1
)
SELECT (SELECT count(*) FROM workers) + (SELECT count(*) FROM streams) AS presences
