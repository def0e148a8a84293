-- Makes a queue, or changes it, so that its jobs wait.
-- $1 name, $2 paused
INSERT INTO jobsvc.queue (name, paused) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET paused = excluded.paused
