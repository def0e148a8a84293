-- Returns the last minutes that have ended of several queues, those of a queue oldest first, and
-- the minute that has not. Reads the minutes first, whatever the statistics say: there are few.
-- $1 queues (NULL for all), $2 number of minutes
WITH present AS MATERIALIZED (
    SELECT date_trunc('minute', statement_timestamp(), 'UTC') AS last
), counted AS MATERIALIZED (
    SELECT * FROM jobsvc.queue_minute
    WHERE minute < (SELECT last FROM present)
        AND minute >= (SELECT last FROM present) - $2::integer * interval '1 minute'
        AND ($1::text[] IS NULL OR queue = ANY ($1::text[]))
)
SELECT queue.name, (SELECT last FROM present) AS last, counted.minute, created, completed,
    cancelled, retried, ready, processing, failed, wait, run
FROM counted JOIN jobsvc.queue
    ON queue.name = counted.queue AND counted.minute > queue.create_time - interval '1 minute'
ORDER BY queue.name, counted.minute
