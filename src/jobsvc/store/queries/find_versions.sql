-- Finds queues whose workers are of several versions, with the seconds since the first worker of the
-- latest version came.
SELECT
    queue, array_agg(version ORDER BY version) AS versions,
    extract(epoch FROM clock_timestamp() - max(first_time))::float8 AS seconds
FROM (
    SELECT q.queue, version, min(connect_time) AS first_time
    FROM jobsvc.worker CROSS JOIN LATERAL unnest(queues) AS q (queue)
    WHERE last_seen > clock_timestamp() - interval '1 minute' AND version <> ''
    GROUP BY q.queue, version
) AS seen
GROUP BY queue
HAVING count(*) > 1
ORDER BY queue
