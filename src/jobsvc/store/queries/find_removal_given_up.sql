-- Finds the queue whose removal began first of those that began long ago and have not ended.
-- $1 seconds
SELECT name FROM jobsvc.queue
WHERE delete_time < clock_timestamp() - $1 * interval '1 second'
ORDER BY delete_time
LIMIT 1
