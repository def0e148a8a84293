-- Removes the oldest entries of the audit whose retention is over, and returns how many. Nobody
-- locks them first, so that a role that serves cannot change an entry.
-- $1 limit, $2 retention in seconds
WITH gone AS (
    DELETE FROM jobsvc.audit_entry WHERE id = ANY (ARRAY(
        SELECT id FROM jobsvc.audit_entry
        WHERE time < statement_timestamp() - $2::float8 * interval '1 second'
        ORDER BY time LIMIT $1)) RETURNING id
)
SELECT count(*) FROM gone
