-- Returns the last minutes that have ended of several queues, those of a queue oldest first, and
-- the minute that has not.
-- $1 queues (NULL for all), $2 number of minutes
SELECT queue.name, last, counted.minute, created, completed, cancelled, retried, ready, processing,
    failed, wait, run
FROM (SELECT date_trunc('minute', statement_timestamp(), 'UTC') AS last) AS present
JOIN jobsvc.queue_minute AS counted
    ON counted.minute < last AND counted.minute >= last - $2::integer * interval '1 minute'
JOIN jobsvc.queue
    ON queue.name = counted.queue AND counted.minute > queue.create_time - interval '1 minute'
WHERE $1::text[] IS NULL OR queue.name = ANY ($1::text[])
ORDER BY queue.name, counted.minute
