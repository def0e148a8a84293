-- Workers of each queue seen lately, over all replicas, and the leases they would take at once.
-- $1 queue (NULL for all), $2 how lately, in seconds
SELECT q.queue, count(DISTINCT worker_id) AS workers,
    sum(greatest(max_window - lease_count, 0))::bigint AS open_window
FROM worker CROSS JOIN LATERAL unnest(worker.queues) AS q (queue)
WHERE last_seen > clock_timestamp() - $2::float8 * interval '1 second'
    AND ($1::text[] IS NULL OR q.queue = ANY ($1))
GROUP BY q.queue
