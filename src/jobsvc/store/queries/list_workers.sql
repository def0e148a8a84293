-- Reads a page of the workers that a replica saw in the last minute, ordered by their ids, each with
-- the number of its leases and the first of them (JSON). All leases are read once for it: there are no more than the windows of
-- the workers.
-- $1 queue (NULL for all), $2 and $3 worker_id and server_id to start after, $4 limit, $5 most leases
-- of a worker
WITH page AS MATERIALIZED (
    SELECT worker.*
    FROM jobsvc.worker
    WHERE (worker_id, server_id) > ($2, $3)
        AND last_seen > clock_timestamp() - interval '1 minute'
        AND ($1::text IS NULL OR $1 = ANY (queues))
    ORDER BY worker_id, server_id LIMIT $4
),
held AS MATERIALIZED (
    SELECT numbered.worker_id, min(numbered.total) AS held,
        json_agg(json_build_object(
            'job_id', job_id, 'queue', queue, 'attempt', attempt,
            'start_time', extract(epoch FROM start_time)) ORDER BY start_time, job_id) AS leases
    FROM (
        SELECT lease.*,
            row_number() OVER (PARTITION BY worker_id ORDER BY start_time, job_id) AS number,
            count(*) OVER (PARTITION BY worker_id) AS total
        FROM jobsvc.lease WHERE worker_id = ANY (ARRAY(SELECT worker_id FROM page))
    ) AS numbered
    WHERE number <= $5
    GROUP BY numbered.worker_id
)
SELECT page.*, coalesce(held.held, 0) AS held, held.leases::text AS leases, drained_worker.drain_time
FROM page
LEFT JOIN held ON held.worker_id = page.worker_id
LEFT JOIN jobsvc.drained_worker ON drained_worker.worker_id = page.worker_id
ORDER BY page.worker_id, page.server_id
