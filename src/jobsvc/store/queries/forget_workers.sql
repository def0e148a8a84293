-- Removes workers that left this replica, and those that no replica has seen for a minute.
-- $1 server_id, $2 worker_id
DELETE FROM jobsvc.worker
WHERE (server_id = $1 AND worker_id = ANY ($2::text[]))
    OR last_seen < clock_timestamp() - interval '1 minute'
