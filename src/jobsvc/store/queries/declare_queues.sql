-- Creates those of these queues that do not exist, with defaults, and returns which.
-- $1 name
INSERT INTO jobsvc.queue (name) SELECT unnest($1::text[]) ON CONFLICT (name) DO NOTHING
RETURNING name
