-- Records the workers that this replica sees now.
-- $1 server_id, $2 worker_id, $3 queues (JSON array), $4 window, $5 lease_count, $6 version, $7 sdk,
-- $8 labels (JSON), $9 whether it makes unary calls
INSERT INTO jobsvc.worker (
    worker_id, server_id, queues, max_window, lease_count, version, sdk, labels, unary,
    connect_time, last_seen)
SELECT worker_id, $1, ARRAY(SELECT jsonb_array_elements_text(queues::jsonb)), max_window,
    lease_count, version, sdk, labels, unary, clock_timestamp(), clock_timestamp()
FROM unnest($2::text[], $3::text[], $4::integer[], $5::integer[], $6::text[], $7::text[],
            $8::text[], $9::boolean[])
    AS seen (worker_id, queues, max_window, lease_count, version, sdk, labels, unary)
ON CONFLICT (worker_id, server_id) DO UPDATE SET
    queues = excluded.queues, max_window = excluded.max_window,
    lease_count = excluded.lease_count, unary = excluded.unary, last_seen = excluded.last_seen
