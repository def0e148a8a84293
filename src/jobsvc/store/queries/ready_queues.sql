-- Which of these queues have a job that is ready.
-- $1 queue
SELECT asked.queue
FROM unnest($1::text[]) AS asked (queue)
WHERE EXISTS (
    SELECT FROM waiting WHERE waiting.queue = asked.queue AND run_at <= statement_timestamp())
