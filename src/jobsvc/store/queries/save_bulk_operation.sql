-- Writes how far a bulk operation has come, by the transaction that has claimed it.
-- $1 id, $2 position, $3 done, $4 skipped (JSON), $5 last error (JSON), $6 time of the next batch,
-- $7 whether it is complete, $8 retention
UPDATE jobsvc.bulk_operation SET
    version = version + 1, update_time = clock_timestamp(), position = $2, done = $3, skipped = $4,
    last_error = $5, next_time = $6,
    state = CASE WHEN $7 THEN 2 ELSE 1 END,
    end_time = CASE WHEN $7 THEN clock_timestamp() END,
    purge_time = CASE WHEN $7 THEN clock_timestamp() + $8::float8 * interval '1 second' END
WHERE id = $1
