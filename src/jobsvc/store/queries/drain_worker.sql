-- Notes that a worker is to take no more jobs, if a replica saw it in the last minute; and forgets
-- those of an hour ago that none has seen since. Returns a row if there is such a worker.
-- $1 worker_id, $2 reason
WITH forgotten AS (
    DELETE FROM jobsvc.drained_worker
    WHERE drain_time < clock_timestamp() - interval '1 hour' AND worker_id <> $1
        AND NOT EXISTS (
            SELECT FROM jobsvc.worker WHERE worker.worker_id = drained_worker.worker_id)
),
noted AS (
    INSERT INTO jobsvc.drained_worker (worker_id, reason)
    SELECT $1::text, $2 WHERE EXISTS (
        SELECT FROM jobsvc.worker
        WHERE worker_id = $1 AND last_seen > clock_timestamp() - interval '1 minute')
    ON CONFLICT (worker_id) DO NOTHING
)
SELECT worker_id FROM jobsvc.worker
WHERE worker_id = $1 AND last_seen > clock_timestamp() - interval '1 minute'
LIMIT 1
