-- Sends hints to the other replicas.
-- $1 messages
SELECT pg_notify('jobsvc', message) FROM unnest($1::text[]) AS message
