-- Marks a queue as being removed: no job is created in it or leased from it any more, once those who
-- have begun to are done.
-- $1 name
UPDATE jobsvc.queue SET
    delete_time = clock_timestamp(), paused = true, pause_reason = '', pause_end_time = NULL,
    update_time = clock_timestamp(), revision = revision + 1
WHERE name = $1 AND delete_time IS NULL
