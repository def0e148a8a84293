-- Returns the minutes of a queue that have ended, oldest first, and the minute that has not, with a
-- row of NULLs if there are none, and no row if there is no queue. Those of an older queue of that
-- name are left out.
-- $1 queue, $2 number of minutes
SELECT last, counted.minute, created, completed, cancelled, retried, ready, processing, failed,
    wait, run
FROM jobsvc.queue
CROSS JOIN (SELECT date_trunc('minute', statement_timestamp(), 'UTC') AS last) AS present
LEFT JOIN jobsvc.queue_minute AS counted
    ON counted.queue = queue.name AND counted.minute < last
    AND counted.minute >= last - $2::integer * interval '1 minute'
    AND counted.minute > queue.create_time - interval '1 minute'
WHERE queue.name = $1
ORDER BY counted.minute
