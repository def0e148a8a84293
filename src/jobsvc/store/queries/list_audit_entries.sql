-- Lists entries of the audit, newest first.
-- $1 since, $2 until, $3 methods, $4 identity, $5 target (NULL each for any), $6 limit
SELECT time, identity, user_id, peer, method, target, outcome, trace_id, calls
FROM jobsvc.audit_entry
WHERE time >= coalesce($1::timestamptz, '-infinity')
    AND time < coalesce($2::timestamptz, 'infinity')
    AND ($3::text[] IS NULL OR method = ANY ($3))
    AND ($4::text IS NULL OR identity = $4)
    AND ($5::text IS NULL OR target = $5)
ORDER BY time DESC, id DESC LIMIT $6
