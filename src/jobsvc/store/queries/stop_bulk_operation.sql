-- Stops a bulk operation that runs, behind the batch that is under way. Returns it.
-- $1 id, $2 retention
UPDATE jobsvc.bulk_operation SET
    state = 3, version = version + 1, update_time = clock_timestamp(),
    end_time = clock_timestamp(),
    purge_time = clock_timestamp() + $2::float8 * interval '1 second'
WHERE id = $1 AND end_time IS NULL
RETURNING *
