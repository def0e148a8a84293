-- Sends hints to the other replicas.
-- $1 channel, $2 messages
SELECT pg_catalog.pg_notify($1, message) FROM pg_catalog.unnest($2::text[]) AS message
