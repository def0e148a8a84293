-- Counts the workers of each queue that any replica saw lately, those of them that hold leases, of
-- whatever queue, and the leases they would take now.
-- $1 queue (NULL for all), $2 age in seconds that still counts as lately
SELECT q.queue, count(DISTINCT worker_id) AS workers,
    count(DISTINCT worker_id) FILTER (WHERE lease_count > 0) AS busy_workers,
    sum(greatest(max_window - lease_count, 0))::bigint AS open_window
FROM jobsvc.worker CROSS JOIN LATERAL unnest(worker.queues) AS q (queue)
WHERE last_seen > clock_timestamp() - $2::float8 * interval '1 second'
    AND ($1::text[] IS NULL OR q.queue = ANY ($1))
GROUP BY q.queue
