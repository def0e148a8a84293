-- Writes how many jobs wait and run now, with what else this minute has.
-- $1 queue, $2 ready, $3 processing
INSERT INTO jobsvc.queue_minute AS kept (queue, minute, ready, processing)
SELECT queue, date_trunc('minute', statement_timestamp(), 'UTC'), ready, processing
FROM unnest($1::text[], $2::integer[], $3::integer[]) AS counted (queue, ready, processing)
ORDER BY queue
ON CONFLICT (queue, minute) DO UPDATE SET
    ready = greatest(kept.ready, excluded.ready),
    processing = greatest(kept.processing, excluded.processing)
