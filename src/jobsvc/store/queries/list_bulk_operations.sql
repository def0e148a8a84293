-- Lists the bulk operations that a caller may see, newest first.
-- $1 service (NULL for all), $2 user, $3 session of the caller, $4 id to start before, $5 limit
SELECT * FROM jobsvc.bulk_operation
WHERE id < $4
    AND ($1::text IS NULL OR (owner_service = $1
        AND ((owner_user = '' AND owner_session IS NULL)
            OR (owner_user <> '' AND owner_user = $2) OR owner_session = $3)))
ORDER BY id DESC LIMIT $5
