-- Finds those of these queues that do not exist, each with the number of queues that do.
-- $1 name, $2 most that are counted
SELECT asked.name, (SELECT count(*) FROM (SELECT FROM jobsvc.queue LIMIT $2) AS known) AS queues
FROM unnest($1::text[]) AS asked (name)
WHERE NOT EXISTS (SELECT FROM jobsvc.queue WHERE queue.name = asked.name)
