-- Returns whether somebody has written how many jobs wait and run in this minute.
SELECT EXISTS (
    SELECT FROM jobsvc.queue_minute
    WHERE minute = date_trunc('minute', statement_timestamp(), 'UTC')
        AND (ready > 0 OR processing > 0)) AS known
